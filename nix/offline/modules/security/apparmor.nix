# nixos/modules/security/apparmor.nix. nixpkgs finds a missing profile through `valueMeta`; here it is a null default.
{ lib, config, pkgs, ... }:

let
  inherit (lib) mkOption types;
  cfg = config.security.apparmor;
in
{
  options.security.apparmor = {
    enable = lib.mkEnableOption "AppArmor";
    policies = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            path = mkOption {
              type = types.nullOr types.path;
              default = null;
            };
            profile = mkOption {
              type = types.nullOr types.lines;
              default = null;
            };
            state = mkOption {
              type = types.enum [
                "disable"
                "complain"
                "enforce"
              ];
              default = "enforce";
            };
          };
        }
      );
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.mapAttrsToList (name: policy: {
      assertion = lib.xor (policy.path != null) (policy.profile != null);
      message = "`security.apparmor.policies.\"${name}\"` must define exactly one of either path or profile.";
    }) cfg.policies;
    environment.etc."apparmor.d".source = pkgs.writeText "apparmor.d" (
      lib.concatStrings (lib.mapAttrsToList (name: policy: "# ${name}\n${policy.profile or ""}\n") cfg.policies)
    );
  };
}
