# Dashboards as a bare list, a secret key that is made once, Prometheus as the data source.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:

let
  inherit (lib) types mkDefault;
  cfg = config.services.grafana;
  keyFile = "/var/lib/cim-grafana/secret_key";
  ownKey = cfg.settings.security.secret_key == "$__file{${keyFile}}";

  provider = entry: removeAttrs entry [ "path" ] // { options = (entry.options or { }) // { path = entry.path; }; };
  fromList = list: {
    settings = {
      apiVersion = 1;
      providers = map (entry: if entry ? path then provider entry else entry) list;
    };
  };
in
{
  imports = [
    (import ./retype.nix {
      inherit lib modulesPath;
      path = "services/monitoring/grafana.nix";
      at = [
        "services"
        "grafana"
        "provision"
        "dashboards"
      ];
      wrap = types.coercedTo (types.listOf types.attrs) fromList;
    })
  ];

  config = lib.mkIf (cfg.enable && (config.cim.nodeAgent.enable || config.services.nats.enable || config.services.prometheus.enable)) {
    services.grafana = {
      settings.security.secret_key = mkDefault "$__file{${keyFile}}";
      provision = {
        # Without it nixpkgs leaves the dashboards out and says nothing.
        enable = mkDefault true;
        datasources.settings = lib.mkIf config.services.prometheus.enable {
          apiVersion = mkDefault 1;
          datasources = [
            {
              name = "CIM Prometheus";
              type = "prometheus";
              access = "proxy";
              url = "http://127.0.0.1:${toString config.services.prometheus.port}";
            }
          ];
        };
      };
    };

    # Grafana cannot change this key later, so it is made once and kept.
    systemd.services.cim-grafana-key = lib.mkIf ownKey {
      description = "Secret key of Grafana, made once";
      requiredBy = [ "grafana.service" ];
      before = [ "grafana.service" ];
      path = [ pkgs.coreutils ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        User = "grafana";
        Group = "grafana";
        UMask = "0077";
        StateDirectory = "cim-grafana";
        StateDirectoryMode = "0700";
      };
      script = ''
        if [ ! -s ${keyFile} ]; then
          head -c 32 /dev/urandom | base64 -w 0 > ${keyFile}.new
          mv ${keyFile}.new ${keyFile}
        fi
      '';
    };
  };
}
