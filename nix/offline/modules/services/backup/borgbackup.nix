# nixos/modules/services/backup/borgbackup.nix
{ lib, ... }:

let
  inherit (lib) mkOption types;
  strings =
    default:
    mkOption {
      type = types.coercedTo types.str (text: [ text ]) (types.listOf types.str);
      inherit default;
    };
in
{
  options.services.borgbackup.jobs = mkOption {
    default = { };
    type = types.attrsOf (
      types.submodule {
        options = {
          paths = mkOption {
            type = types.nullOr (types.coercedTo types.str (text: [ text ]) (types.listOf types.str));
            default = null;
          };
          repo = mkOption { type = types.str; };
          encryption = {
            mode = mkOption {
              type = types.enum [
                "repokey"
                "keyfile"
                "repokey-blake2"
                "keyfile-blake2"
                "authenticated"
                "authenticated-blake2"
                "none"
              ];
            };
            passCommand = mkOption {
              type = types.nullOr types.str;
              default = null;
            };
            passphrase = mkOption {
              type = types.nullOr types.str;
              default = null;
            };
          };
          startAt = strings "daily";
          prune.keep = mkOption {
            type = types.attrsOf (types.either types.int (types.strMatching "[[:digit:]]+[Hdwmy]"));
            default = { };
          };
          environment = mkOption {
            type = types.attrsOf types.str;
            default = { };
          };
          preHook = mkOption {
            type = types.lines;
            default = "";
          };
          readWritePaths = mkOption {
            type = types.listOf types.path;
            default = [ ];
          };
          doInit = mkOption {
            type = types.bool;
            default = true;
          };
        };
      }
    );
  };
}
