# nixos/modules/services/monitoring/prometheus/{default.nix,exporters.nix,exporters/nats.nix}
{ lib, config, ... }:

let
  inherit (lib) mkOption types;
  optional =
    type:
    mkOption {
      type = types.nullOr type;
      default = null;
    };
in
{
  options.services.prometheus = {
    enable = lib.mkEnableOption "Prometheus";
    port = mkOption {
      type = types.port;
      default = 9090;
    };
    listenAddress = mkOption {
      type = types.str;
      default = "0.0.0.0";
    };
    scrapeConfigs = mkOption {
      default = [ ];
      type = types.listOf (
        types.submodule {
          options = {
            job_name = mkOption { type = types.str; };
            metrics_path = optional types.str;
            scrape_interval = optional types.str;
            static_configs = mkOption {
              default = [ ];
              type = types.listOf (
                types.submodule {
                  options = {
                    targets = mkOption { type = types.listOf types.str; };
                    labels = mkOption {
                      type = types.attrsOf types.str;
                      default = { };
                    };
                  };
                }
              );
            };
          };
        }
      );
    };
    ruleFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
    };
    exporters.nats = {
      enable = lib.mkEnableOption "the exporter";
      port = mkOption {
        type = types.port;
        default = 7777;
      };
      listenAddress = mkOption {
        type = types.str;
        default = "0.0.0.0";
      };
      url = mkOption {
        type = types.str;
        default = "http://127.0.0.1:8222";
      };
      extraFlags = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
    };
  };
}
