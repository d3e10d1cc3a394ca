# nixos/modules/services/networking/nats.nix
{ lib, pkgs, config, ... }:

let
  cfg = config.services.nats;
  format = pkgs.formats.json { };
  text =
    default:
    lib.mkOption {
      type = lib.types.str;
      inherit default;
    };
in
{
  options.services.nats = {
    enable = lib.mkEnableOption "NATS";
    user = text "nats";
    group = text "nats";
    serverName = text "nats";
    jetstream = lib.mkEnableOption "JetStream";
    port = lib.mkOption {
      type = lib.types.port;
      default = 4222;
    };
    dataDir = lib.mkOption {
      type = lib.types.path;
      default = "/var/lib/nats";
    };
    settings = lib.mkOption {
      type = format.type;
      default = { };
    };
    validateConfig = lib.mkOption {
      type = lib.types.bool;
      default = true;
    };
  };

  config = lib.mkIf cfg.enable {
    services.nats.settings = {
      server_name = cfg.serverName;
      port = cfg.port;
      jetstream = lib.optionalAttrs cfg.jetstream { store_dir = cfg.dataDir; };
    };
    systemd.services.nats = {
      description = "NATS messaging system";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        ExecStart = "${pkgs.nats-server}/bin/nats-server -c ${format.generate "nats.conf" cfg.settings}";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        User = cfg.user;
        Group = cfg.group;
        Type = "simple";
        Restart = "on-failure";
        KillMode = "mixed";
        KillSignal = "SIGUSR2";
        SuccessExitStatus = [ 0 "SIGUSR2" ];
        TimeoutStopSec = "150";
        LimitNOFILE = 800000;
        UMask = "0077";
        StateDirectory = "nats";
        StateDirectoryMode = "0750";
        ReadWritePaths = [ cfg.dataDir ];
        ReadOnlyPaths = [ ];
        CapabilityBoundingSet = "";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        PrivateUsers = true;
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RestrictAddressFamilies = [ "AF_INET" "AF_INET6" ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallFilter = [ "@system-service" "~@privileged" ];
      };
    };
    users.users.nats = {
      isSystemUser = true;
      group = cfg.group;
      home = cfg.dataDir;
      description = "NATS daemon user";
    };
    users.groups.nats = { };
  };
}
