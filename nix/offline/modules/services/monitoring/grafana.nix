# nixos/modules/services/monitoring/grafana.nix
{ lib, pkgs, config, ... }:

let
  inherit (lib) mkOption types;
  cfg = config.services.grafana;
  json = (pkgs.formats.json { }).type;

  provisioned =
    list: entry:
    mkOption {
      default = { };
      type = types.submodule {
        options = {
          settings = mkOption {
            default = null;
            type = types.nullOr (
              types.submodule {
                freeformType = json;
                options = {
                  apiVersion = mkOption {
                    type = types.int;
                    default = 1;
                  };
                  ${list} = mkOption {
                    default = [ ];
                    type = types.listOf (
                      types.submodule {
                        freeformType = json;
                        options = entry;
                      }
                    );
                  };
                };
              }
            );
          };
          path = mkOption {
            type = types.nullOr types.path;
            default = null;
          };
        };
      };
    };
  text =
    default:
    mkOption {
      type = types.str;
      inherit default;
    };
in
{
  options.services.grafana = {
    enable = lib.mkEnableOption "Grafana";
    settings = mkOption {
      default = { };
      type = types.submodule {
        freeformType = json;
        options.security.secret_key = mkOption {
          type = types.nullOr types.str;
          default = null;
        };
      };
    };
    provision = {
      enable = lib.mkEnableOption "provisioning";
      dashboards = provisioned "providers" {
        name = text "default";
        type = text "file";
        options.path = mkOption { type = types.path; };
      };
      datasources = provisioned "datasources" {
        name = mkOption { type = types.str; };
        type = mkOption { type = types.str; };
        access = text "proxy";
        url = text "";
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.settings.security.secret_key != null;
        message = "services.grafana.settings.security.secret_key must be set.";
      }
    ];
    users.users.grafana = {
      isSystemUser = true;
      group = "grafana";
    };
    users.groups.grafana = { };
    systemd.services.grafana = {
      description = "Grafana Service Daemon";
      serviceConfig.ExecStart = "${pkgs.fake "grafana"}/bin/grafana server";
    };
  };
}
