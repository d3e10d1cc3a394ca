# Prometheus beside the node-agent: another port, and numbers of NATS from an exporter, since nats-server itself has no /metrics.
{ config, lib, ... }:

let
  inherit (lib) mkOption mkDefault;
  cfg = config.services.prometheus;
  exporter = "127.0.0.1:${toString cfg.exporters.nats.port}";
  monitoring = [
    "localhost:8222"
    "127.0.0.1:8222"
  ];
  toExporter = target: if lib.elem target monitoring then exporter else target;
  throughExporter =
    scrape:
    if (scrape.metrics_path or null) == null || scrape.metrics_path == "/metrics" then
      scrape
      // {
        static_configs = map (entry: entry // { targets = map toExporter entry.targets; }) scrape.static_configs;
      }
    else
      scrape;
in
{
  options.services.prometheus.scrapeConfigs = mkOption {
    apply = map throughExporter;
  };

  config = lib.mkIf (cfg.enable && (config.cim.nodeAgent.enable || config.services.nats.enable)) {
    services.prometheus = {
      # 9090 is the node-agent's, as the guide's health checks say.
      port = mkDefault 9091;
      listenAddress = mkDefault "127.0.0.1";
      exporters.nats = lib.mkIf config.services.nats.enable {
        enable = mkDefault true;
        listenAddress = mkDefault "127.0.0.1";
        url = mkDefault "http://127.0.0.1:8222";
        extraFlags = [
          "-varz"
          "-connz"
          "-leafz"
          "-jsz=all"
        ];
      };
    };
  };
}
