# The hub: its nats-server with a leafnode port, and the registry beside it.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption mkDefault types literalExpression;
  cim = import ./types.nix { inherit lib; };
  cfg = config.cim.registry;
  nats = config.services.nats;
  json = pkgs.formats.json { };
  credentialsDirectory = "/run/credentials/cim-registry.service";
  guarded = nats.enable && cfg.ownLogin;

  optional =
    type: default: example: description:
    mkOption {
      type = types.nullOr type;
      inherit default example description;
    };

  extra = import ./settings/registry.nix { inherit lib json optional; };

  checked = import ./checked-config.nix { inherit lib pkgs; };
  configFile = checked.file {
    program = "cim-registry";
    inherit (cfg) package settings;
    validate = cfg.validateConfig;
  };
in
{
  options.cim.registry = {
    enable = lib.mkEnableOption "the hub of a fleet: nats-server with a leafnode port, JetStream and the registry";
    package = mkOption {
      type = types.package;
      default = config.cim.package;
      defaultText = literalExpression "config.cim.package";
      example = literalExpression "inputs.cim.packages.x86_64-linux.registry";
      description = "Package with {command}`cim-registry`.";
    };
    validateConfig = checked.option "cim-registry";
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open the registry's port. Put TLS in front of it first.";
    };
    instances = mkOption {
      default = { };
      example = {
        cim-prod-001.passwordFile = "/run/secrets/leaf-cim-prod-001";
      };
      description = ''
        Leaves that may join this hub, by instance id. Each gets exactly the permissions of a node with that id, taken from CIM's
        channel table. Empty: the hub asks nobody for a password, which {option}`services.nats.settings` may do in its own way.
      '';
      type = types.attrsOf (
        types.submodule {
          options.passwordFile = mkOption {
            type = cim.secretFile;
            example = "/run/secrets/leaf-cim-prod-001";
            description = "File with the password of this leaf: letters, digits, dots, dashes and underscores only.";
          };
        }
      );
    };
    ownLogin = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the registry gets a login of its own on the hub, with a password that is made at first boot. Set it to false where the
        hub's users are settled elsewhere ({command}`alchemist hub init`) and set settings.nats.credentialsFile.
      '';
    };
    settings = mkOption {
      default = { };
      example = {
        topology.replicas = 3;
      };
      description = "Content of /etc/cim/registry.json. docs/config.md explains every key.";
      type = types.submodule {
        freeformType = json.type;
        options = {
          nats = {
            url = mkOption {
              type = types.either cim.natsUrl (types.nonEmptyListOf cim.natsUrl);
              default = if nats.tls.enable then "tls://${config.networking.hostName}:${toString nats.port}" else "nats://127.0.0.1:${toString nats.port}";
              defaultText = literalExpression ''"nats://127.0.0.1:4222"'';
              example = "nats://127.0.0.1:4222";
              description = "Address of the hub's nats-server. With TLS the default is the host's name, since certificates seldom name loopback.";
            };
            domain = optional types.str "hub" "hub" "JetStream domain of the hub.";
            insecureDev = optional types.bool null false "Connect without user or credentials; for a laptop only, and health warns of it.";
            credentialsFile = optional cim.secretFile null "/run/secrets/registry.creds" "Credentials file (JWT and seed).";
            user = optional types.str null "cim-registry" "User name, where the hub knows users.";
            passwordFile = optional cim.secretFile null "/run/secrets/registry-password" "File with the password of the user.";
            tls = mkOption {
              type = types.nullOr (types.attrsOf (types.nullOr types.str));
              default = null;
              example = { caFile = "/etc/nats/certs/ca.pem"; };
              description = "TLS towards the hub: caFile, certFile, keyFile.";
            };
          };
          http = {
            host = optional types.str "127.0.0.1" "10.0.0.1" "Address of the API.";
            port = optional types.port 8484 8484 "Port of the API.";
          }
          // extra.http;
          inherit (extra) identity transparency;
          tokensFile = mkOption {
            type = cim.secretFile;
            default = "/etc/cim/tokens.json";
            example = "/etc/cim/tokens.json";
            description = "Token file: {\"tokens\":[{\"name\",\"sha256\",\"roles\"}]}; read again when it changes. The group cim-registry must be able to read it.";
          };
          trust = mkOption {
            type = types.attrsOf json.type;
            default = { };
            example = { publishers = [ ]; };
            description = "Trusted keys; comes from {option}`cim.trust`.";
          };
          topology = {
            replicas = optional (types.ints.between 1 5) null 3 "Copies of every stream and bucket: 1 on a single hub, 3 on a cluster.";
            storage = optional (types.enum [ "file" "memory" ]) null "file" "Where the hub keeps streams.";
          };
          limits = {
            maxBundle = optional cim.bytes null "256Mi" "Largest bundle.";
            maxBody = optional cim.bytes null "1Mi" "Largest body of any other request.";
            requestsPerMinute = optional types.ints.positive null 6000 "Requests one token may send in a minute.";
            inherit (extra) failuresPerMinute;
          };
          log.level = optional (types.enum [ "debug" "info" "warn" "error" "silent" ]) "info" "debug" "Least severe level that is written.";
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    services.nats = {
      enable = mkDefault true;
      leafnode.port = mkDefault 7422;
      settings.jetstream.domain = cfg.settings.nats.domain;
      authorization.internalUsers = lib.mkIf guarded (
        # "registry" is how every registry names its inboxes, whatever its login.
        {
          cim-registry = {
            account = "HUB";
            permissions = import ./nats/permissions.nix { party = "registry"; id = "registry"; };
          };
        }
        // lib.mapAttrs (id: leaf: {
          inherit (leaf) passwordFile;
          account = "CIM";
          permissions = import ./nats/permissions.nix { party = "node"; inherit id; };
        }) cfg.instances
      );
    };

    cim.registry.settings = {
      trust = { inherit (config.cim.trust) publishers operators operatorThreshold; };
      nats = lib.mkMerge [
        (lib.mkIf guarded {
          user = mkDefault "cim-registry";
          passwordFile = mkDefault "${credentialsDirectory}/nats-password";
        })
        (lib.mkIf (nats.tls.enable && nats.tls.ca != null) { tls = mkDefault { caFile = nats.tls.ca; }; })
      ];
    };

    environment.etc."cim/registry.json".source = configFile;
    environment.systemPackages = [ cfg.package ];
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.settings.http.port ];

    users.groups.cim-registry = { };
    users.users.cim-registry = {
      isSystemUser = true;
      group = "cim-registry";
      description = "CIM registry";
    };
    systemd.tmpfiles.rules = [ "z ${cfg.settings.tokensFile} 0640 root cim-registry -" ];
    systemd.slices.cim.description = mkDefault "CIM";

    systemd.services.cim-registry = {
      description = "CIM registry";
      wantedBy = [ "multi-user.target" ];
      wants = [ "nats.service" "network-online.target" ];
      after = [ "nats.service" "network-online.target" ];
      restartTriggers = [ configFile ];
      serviceConfig = import ./hardening.nix // {
        Type = "exec";
        ExecStart = "${cfg.package}/bin/cim-registry --config /etc/cim/registry.json";
        Restart = "on-failure";
        RestartSec = 2;
        User = "cim-registry";
        Group = "cim-registry";
        Slice = "cim.slice";
        ProtectControlGroups = true;
        TasksMax = 512;
        MemoryMax = "2G";
        LimitNOFILE = 65536;
        LoadCredential = lib.optional guarded "nats-password:${config.cim.secrets.directory}/nats-cim-registry";
      };
    };

    assertions = lib.mapAttrsToList (id: _: {
      assertion = cim.instanceId.check id && id != "hub";
      message = "cim.registry.instances.\"${id}\": expected an instance id: 1 to 63 of a-z, 0-9 and \"-\", not at the ends, and not \"hub\"; use the leaf's cim.instance.id.";
    }) cfg.instances ++ [
      {
        assertion = !config.cim.nodeAgent.enable;
        message = "cim.registry.enable: the hub and a leaf are two nats-servers with two JetStream domains; run the node-agent on another machine or set cim.nodeAgent.enable = false.";
      }
    ];
    warnings = lib.optional (cfg.instances == { } && cfg.ownLogin)
      "cim.registry.instances is empty: no leaf can join this hub; name the instances, or run the hub in operator mode (alchemist hub init) and set cim.registry.ownLogin = false.";
  };
}
