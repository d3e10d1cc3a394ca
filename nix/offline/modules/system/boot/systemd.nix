# nixos/lib/systemd-unit-options.nix, nixos/lib/systemd-types.nix, nixos/modules/system/boot/systemd{.nix,/tmpfiles.nix}
{ lib, pkgs, ... }:

let
  inherit (lib) mkOption types;

  # Lists join; anything else must be said once, or twice in the same words.
  unitOption = types.mkOptionType or lib.mkOptionType {
    name = "systemd option";
    merge =
      loc: definitions:
      let
        values = map (definition: definition.value) definitions;
      in
      if lib.all builtins.isList values then
        builtins.concatLists values
      else if lib.any builtins.isList values then
        builtins.concatLists (map (value: if builtins.isList value then value else [ value ]) values)
      else if lib.all (value: value == builtins.head values) values then
        builtins.head values
      else
        throw "The option `${lib.showOption loc}' has conflicting definition values: ${builtins.toJSON values}";
  };

  strings = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  lines = mkOption {
    type = types.lines;
    default = "";
  };
  settings = mkOption {
    type = types.attrsOf unitOption;
    default = { };
  };

  unit = {
    enable = flag true;
    description = mkOption {
      type = types.str;
      default = "";
    };
    documentation = strings;
    wantedBy = strings;
    requiredBy = strings;
    wants = strings;
    requires = strings;
    bindsTo = strings;
    partOf = strings;
    after = strings;
    before = strings;
    conflicts = strings;
    upholds = strings;
    onFailure = strings;
    aliases = strings;
    unitConfig = settings;
  };
  service = unit // {
    serviceConfig = settings;
    environment = mkOption {
      type = types.attrsOf (types.nullOr (types.oneOf [ types.str types.path types.package ]));
      default = { };
    };
    path = mkOption {
      type = types.listOf (types.oneOf [ types.package types.str ]);
      default = [ ];
    };
    script = lines;
    preStart = lines;
    startAt = mkOption {
      type = types.coercedTo types.str (text: [ text ]) (types.listOf types.str);
      default = [ ];
    };
    restartTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    reloadTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    stopIfChanged = flag true;
    restartIfChanged = flag true;
  };
  units =
    options:
    mkOption {
      type = types.attrsOf (types.submodule { inherit options; });
      default = { };
    };
in
{
  options.systemd = {
    services = units service;
    slices = units (unit // { sliceConfig = settings; });
    targets = units unit;
    tmpfiles.rules = strings;
    package = mkOption {
      type = types.package;
      default = pkgs.systemd;
    };
  };
}
