# Numbers and pictures: what Prometheus scrapes, what wakes a person, what Grafana shows. Off by default; an operator's own scrape
# configurations, rules and dashboards stand beside it untouched.
{ config, lib, ... }:

let
  inherit (lib) mkOption mkDefault types;
  cfg = config.cim.observability;
  agent = config.cim.nodeAgent;
  registry = config.cim.registry;
  job = name: metrics_path: targets: {
    job_name = name;
    inherit metrics_path;
    static_configs = [ { inherit targets; } ];
  };
  here = "localhost:${toString agent.settings.http.port}";
  targets = lib.optional agent.enable here ++ cfg.nodes;
in
{
  options.cim.observability = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether this machine scrapes CIM with Prometheus and shows it in Grafana, where those two are enabled.";
    };
    nodes = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9.-]+:[0-9]{1,5}|\\[[0-9a-fA-F:]+]:[0-9]{1,5}");
      default = [ ];
      example = [ "cim-prod-002.internal:9090" ];
      description = "Node-agents of other machines to scrape. Theirs must listen beyond loopback: {option}`cim.nodeAgent.settings.http.host`.";
    };
    alerts = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether Prometheus gets CIM's alert rules (nix/observability/alerts.yml).";
    };
    dashboards = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether Grafana gets CIM's dashboards (nix/observability/dashboards).";
    };
  };

  config = lib.mkIf cfg.enable {
    services.prometheus = {
      enable = mkDefault true;
      scrapeConfigs =
        lib.optional (targets != [ ]) (job "cim-node-agent" "/metrics" targets)
        ++ lib.optional registry.enable (job "cim-registry" "/metrics" [ "localhost:${toString registry.settings.http.port}" ])
        ++ lib.optional config.services.nats.enable (
          job "nats" "/metrics" [ "localhost:${toString config.services.prometheus.exporters.nats.port}" ]
        );
      ruleFiles = lib.optional cfg.alerts ../observability/alerts.yml;
    };
    services.grafana.provision.dashboards.settings = lib.mkIf (cfg.dashboards && config.services.grafana.enable) {
      apiVersion = mkDefault 1;
      providers = [
        {
          name = "CIM";
          folder = "CIM";
          type = "file";
          options.path = ../observability/dashboards;
        }
      ];
    };

    assertions = [
      {
        assertion = targets != [ ] || registry.enable;
        message = "cim.observability.enable: there is nothing to scrape; enable a domain or cim.registry here, or name machines in cim.observability.nodes.";
      }
    ];
  };
}
