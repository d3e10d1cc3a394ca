# nixos/modules/system/etc/etc.nix and nixos/modules/config/system-path.nix
{ lib, pkgs, ... }:
{
  options.environment = {
    systemPackages = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
    };
    etc = lib.mkOption {
      default = { };
      type = lib.types.attrsOf (
        lib.types.submodule (
          { name, config, ... }:
          {
            options = {
              enable = lib.mkOption {
                type = lib.types.bool;
                default = true;
              };
              target = lib.mkOption {
                type = lib.types.str;
                default = name;
              };
              text = lib.mkOption {
                type = lib.types.nullOr lib.types.lines;
                default = null;
              };
              source = lib.mkOption { type = lib.types.path; };
              mode = lib.mkOption {
                type = lib.types.str;
                default = "symlink";
              };
              user = lib.mkOption {
                type = lib.types.str;
                default = "+0";
              };
              group = lib.mkOption {
                type = lib.types.str;
                default = "+0";
              };
            };
            config.source = lib.mkIf (config.text != null) (lib.mkDefault (pkgs.writeText "etc-${baseNameOf name}" config.text));
          }
        )
      );
    };
  };
}
