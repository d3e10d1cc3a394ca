# nixos/modules/config/users-groups.nix
{ lib, config, ... }:

let
  inherit (lib) mkOption types;
  users = lib.attrValues config.users.users;
in
{
  options.users = {
    users = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options = {
              name = mkOption {
                type = types.str;
                default = name;
              };
              isSystemUser = mkOption {
                type = types.bool;
                default = false;
              };
              isNormalUser = mkOption {
                type = types.bool;
                default = false;
              };
              group = mkOption {
                type = types.str;
                default = "";
              };
              extraGroups = mkOption {
                type = types.listOf types.str;
                default = [ ];
              };
              home = mkOption {
                type = types.path;
                default = "/var/empty";
              };
              createHome = mkOption {
                type = types.bool;
                default = false;
              };
              description = mkOption {
                type = types.str;
                default = "";
              };
              uid = mkOption {
                type = types.nullOr types.int;
                default = null;
              };
            };
          }
        )
      );
    };
    groups = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            gid = mkOption {
              type = types.nullOr types.int;
              default = null;
            };
            members = mkOption {
              type = types.listOf types.str;
              default = [ ];
            };
          };
        }
      );
    };
  };

  config.assertions = lib.concatMap (user: [
    {
      assertion = lib.xor user.isSystemUser user.isNormalUser;
      message = "Exactly one of users.users.${user.name}.isSystemUser and users.users.${user.name}.isNormalUser must be set.";
    }
    {
      assertion = user.group != "";
      message = "users.users.${user.name}.group is unset.";
    }
    {
      assertion = user.group == "" || config.users.groups ? ${user.group};
      message = "The group '${user.group}' of user '${user.name}' does not exist.";
    }
  ]) users;
}
