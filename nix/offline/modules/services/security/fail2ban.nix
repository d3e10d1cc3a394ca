# nixos/modules/services/security/fail2ban.nix. Its fault is kept: a filter given as text is not read, the jail's name is.
{ lib, config, ... }:

let
  inherit (lib) mkOption types;
  cfg = config.services.fail2ban;
  scalar = types.oneOf [ types.bool types.int types.str ];
  shown = value: if value == true then "true" else if value == false then "false" else toString value;
  section =
    name: jail:
    "[${name}]\n"
    + lib.concatStrings (
      lib.mapAttrsToList (key: value: "${key}=${shown value}\n") (
        { inherit (jail) enabled; } // lib.optionalAttrs (jail.filter != null) { filter = name; } // jail.settings
      )
    );
in
{
  options.services.fail2ban = {
    enable = lib.mkEnableOption "fail2ban";
    jails = mkOption {
      default = { };
      type = types.attrsOf (
        types.either types.lines (
          types.submodule {
            options = {
              enabled = mkOption {
                type = types.bool;
                default = true;
              };
              filter = mkOption {
                type = types.nullOr (types.either types.str (types.attrsOf (types.attrsOf scalar)));
                default = null;
              };
              settings = mkOption {
                type = types.attrsOf scalar;
                default = { };
              };
            };
          }
        )
      );
    };
  };

  config = lib.mkIf cfg.enable {
    environment.etc."fail2ban/jail.local".text = lib.concatStrings (lib.mapAttrsToList section (lib.filterAttrs (_: builtins.isAttrs) cfg.jails));
    warnings = lib.optional (!config.networking.firewall.enable && !config.networking.nftables.enable) "fail2ban can not be used without a firewall";
  };
}
