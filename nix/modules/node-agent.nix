# The daemon of a leaf: /etc/cim/config.json and its unit. Every key of NodeAgentConfig (packages/contracts) has its option; a key
# this module does not know yet passes through `settings` and is judged by `cim-node-agent --check` when the machine is built.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption mkDefault types literalExpression;
  cim = import ./types.nix { inherit lib; };
  cfg = config.cim.nodeAgent;
  instance = config.cim.instance;
  nats = config.services.nats;
  json = pkgs.formats.json { };
  withoutNull = import ./without-null.nix { inherit lib; };
  hardening = import ./hardening.nix;

  unit = "cim-node-agent.service";
  credentialsDirectory = "/run/credentials/${unit}";
  # Nobody speaks on a leaf without saying who: the node-agent has a login of its own, whoever else has one.
  guarded = nats.enable && cfg.ownLogin;

  # The machine's own name is in its hosts file, on loopback.
  onLoopback =
    address:
    builtins.match ".*(127[.]0[.]0[.]1|localhost|::1).*" address != null
    || lib.hasInfix "//${config.networking.hostName}:" address;
  # Its leaf, its health page: everything else it might reach is egress of workloads or the renewal of its credential.
  staysHere =
    !cfg.egress
    && onLoopback cfg.settings.http.host
    && cfg.settings.identity.registry == null
    && lib.all onLoopback (if builtins.isList cfg.settings.nats.url then cfg.settings.nats.url else [ cfg.settings.nats.url ]);

  optional =
    type: default: example: description:
    mkOption {
      type = types.nullOr type;
      inherit default example description;
    };

  checked = import ./checked-config.nix { inherit lib pkgs; };
  configFile = checked.file {
    program = "cim-node-agent";
    inherit (cfg) package settings;
    validate = cfg.validateConfig;
  };
in
{
  options.cim.nodeAgent = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to run the node-agent. On by default as soon as one domain of {option}`cim.domains` is enabled.";
    };
    package = mkOption {
      type = types.package;
      default = config.cim.package;
      defaultText = literalExpression "config.cim.package";
      example = literalExpression "inputs.cim.packages.x86_64-linux.node-agent";
      description = "Package with {command}`cim-node-agent`.";
    };
    validateConfig = checked.option "cim-node-agent";
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open the port of health and metrics. It listens on loopback unless {option}`cim.nodeAgent.settings.http.host` says otherwise.";
    };
    credentials = mkOption {
      type = types.attrsOf cim.secretFile;
      default = { };
      example = {
        openai-key = "/run/secrets/openai";
      };
      description = ''
        Secrets a workload may be granted, by name. systemd hands each file to the node-agent; it never enters the store. Files of
        sops-nix, agenix and systemd-creds fit.
      '';
    };
    egress = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether workloads here may be granted HTTP requests to other hosts. When false, policy refuses such grants, and where the node-agent
        itself has no business beyond loopback the kernel keeps it there.
      '';
    };
    ownLogin = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the node-agent gets a login of its own on the leaf, with a password that is made at first boot. Set it to false where the
        leaf's users are settled elsewhere (operator mode, accounts) and say in {option}`cim.nodeAgent.settings.nats` who it is there.
      '';
    };
    memoryMax = optional cim.bytes null "24Gi" "Memory the node-agent and all cells may use, kept by the kernel.";
    cpuQuota = optional cim.cpu null "8" "Cores the node-agent and all cells may use, kept by the kernel.";
    tls = {
      certFile = optional cim.secretFile null "/etc/nats/certs/agent-cert.pem" "Client certificate towards the leaf, where {option}`services.nats.tls.verify` asks for one.";
      keyFile = optional cim.secretFile null "/etc/nats/certs/agent-key.pem" "Key of the client certificate.";
    };
    settings = mkOption {
      default = { };
      example = {
        log.level = "debug";
        sandbox.memory = "16Gi";
      };
      description = "Content of /etc/cim/config.json. docs/config.md explains every key.";
      type = types.submodule {
        freeformType = json.type;
        options = {
          instance = mkOption {
            type = types.attrsOf json.type;
            default = { };
            example = { id = "cim-prod-001"; };
            description = "Who this instance is; comes from {option}`cim.instance`.";
          };
          nats = {
            url = mkOption {
              type = types.either cim.natsUrl (types.nonEmptyListOf cim.natsUrl);
              default = "${if nats.tls.enable then "tls" else "nats"}://${if nats.tls.enable then config.networking.hostName else "127.0.0.1"}:${toString nats.port}";
              defaultText = literalExpression ''"nats://127.0.0.1:4222"'';
              example = "nats://127.0.0.1:4222";
              description = "Address of the leaf. With TLS the default is the host's name, since certificates seldom name loopback.";
            };
            hubDomain = optional types.str "hub" "hub" "JetStream domain of the hub.";
            insecureDev = optional types.bool null false "Connect without user or credentials; for a laptop only, and health warns of it.";
            credentialsFile = optional cim.secretFile null "/run/credentials/cim-node-agent.service/nats.creds" "Credentials file (JWT and seed).";
            user = optional types.str null "cim-node-agent" "User name, where the leaf knows users.";
            passwordFile = optional cim.secretFile null "/run/credentials/cim-node-agent.service/nats-password" "File with the password of the user.";
            tls = mkOption {
              type = types.nullOr (types.attrsOf (types.nullOr types.str));
              default = null;
              example = { caFile = "/etc/nats/certs/ca.pem"; };
              description = "TLS towards the leaf; comes from {option}`services.nats.tls` and {option}`cim.nodeAgent.tls`.";
            };
          };
          http = {
            host = optional types.str "127.0.0.1" "10.0.0.5" "Address of health, metrics and the read-only API.";
            port = optional types.port 9090 9090 "Port of health, metrics and the read-only API.";
          };
          stateDirectory = optional (types.strMatching "/var/lib/[A-Za-z0-9._/-]+") "/var/lib/cim-agent" "/var/lib/cim-agent" "Where last good desired state and bundles are kept.";
          secretsDirectory = optional cim.secretFile null "/run/secrets/cim" "Directory of secrets; the unit's own when {option}`cim.nodeAgent.credentials` has any.";
          trust = mkOption {
            type = types.attrsOf json.type;
            default = { };
            example = { publishers = [ ]; };
            description = "Trusted keys; comes from {option}`cim.trust`.";
          };
          sandbox = {
            maxWorkloads = optional (types.ints.between 1 100000) null 1000 "Replicas this node runs at most.";
            spareCells = optional (types.ints.between 0 16) null 1 "Cells kept warm, so that a start takes milliseconds.";
            memory = optional cim.bytes null "24Gi" "Memory all workloads may ask for in all. Default: four fifths of the machine's.";
            cpu = optional cim.cpu null "8" "Cores all workloads may use in all. Default: the machine's.";
            cellMemoryAllowance = optional cim.bytes null "96Mi" "What a cell may hold beyond the heaps of its workloads.";
            maxReply = optional cim.bytes null "1Mi" "Largest answer of a call.";
            maxQueue = optional types.ints.unsigned null 1024 "Calls that may wait for a replica.";
            startTimeout = optional cim.duration null "20s" "Longest start of a replica.";
            cgroup = optional (types.enum [ "auto" "off" ]) null "auto" ''"auto" uses the delegated cgroup, "off" always the watchdog.'';
          }
          // import ./settings/sandbox.nix { inherit lib optional; };
          policy = import ./settings/policy.nix { inherit lib optional; };
          identity = {
            registry = optional (types.strMatching "https?://.+") null "https://hub.example.com:8484" "Address of the registry that renews the credential of this instance. Absent: nobody does.";
            caFile = optional cim.secretFile null "/etc/ssl/certs/ca-certificates.crt" "Authority that signed the registry's certificate.";
            credentialsFile = optional cim.secretFile null "/var/lib/cim-agent/leaf.creds" "The credential the leaf joins the hub with. Default: leaf.creds in the state directory.";
          };
          cache.maxBytes = optional cim.bytes null "8Gi" "Bundles kept on disk beyond those in use.";
          timing = {
            heartbeat = optional cim.duration null "10s" "Time between two heartbeats.";
            resync = optional cim.duration null "30s" "Time between two full reads of desired state.";
            drain = optional cim.duration null "20s" "How long calls in flight may take when the node drains.";
            probe = optional cim.duration null "10s" "Time between two health probes of a workload.";
          };
          domains = mkOption {
            type = types.attrsOf json.type;
            default = { };
            example = { agent.enable = true; };
            description = "Domains; comes from {option}`cim.domains`.";
          };
          log.level = optional (types.enum [ "debug" "info" "warn" "error" "silent" ]) "info" "debug" "Least severe level that is written.";
        };
      };
    };
  };

  config = lib.mkMerge [
    # The guide names this user; wherever it stands, its group must exist, also with every domain off.
    (lib.mkIf (cfg.enable || config.users.users ? cim-agent) { users.groups.cim = { }; })

    (lib.mkIf cfg.enable {
      cim.nodeAgent.settings = {
        instance = withoutNull { inherit (instance) id name location capabilities; };
        trust = withoutNull { inherit (config.cim.trust) publishers operators operatorThreshold logs; };
        domains = withoutNull config.cim.domains;
        secretsDirectory = lib.mkIf (cfg.credentials != { }) (mkDefault credentialsDirectory);
        policy.egress = lib.mkIf (!cfg.egress) (mkDefault [ ]);
        sandbox.maxWorkloads = lib.mkIf ((config.cim.domains.agent.config.maxAgents or null) != null) (
          mkDefault config.cim.domains.agent.config.maxAgents
        );
        nats = lib.mkMerge [
          (lib.mkIf (guarded && !nats.tls.verifyAndMap) {
            user = mkDefault "cim-node-agent";
            passwordFile = mkDefault "${credentialsDirectory}/nats-password";
          })
          (lib.mkIf nats.tls.enable {
            tls = withoutNull {
              caFile = nats.tls.ca;
              certFile = if cfg.tls.certFile == null then null else "${credentialsDirectory}/tls-cert";
              keyFile = if cfg.tls.keyFile == null then null else "${credentialsDirectory}/tls-key";
            };
          })
        ];
      };

      # Its own identity, so that nothing the operator granted to others has to be widened.
      services.nats.authorization.internalUsers.cim-node-agent = lib.mkIf guarded { };

      environment.etc."cim/config.json".source = configFile;
      environment.systemPackages = [ cfg.package ];

      networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.settings.http.port ];

      users.users.cim-agent = {
        isSystemUser = mkDefault true;
        group = mkDefault "cim";
        home = mkDefault "/var/lib/cim-agent";
        description = mkDefault "CIM node-agent";
      };

      systemd.slices.cim.description = mkDefault "CIM";

      systemd.services.cim-node-agent = {
        description = "CIM node-agent of ${instance.id}";
        documentation = [ "file:${cfg.package}/share/doc/cim/operating.md" ];
        wantedBy = [ "multi-user.target" ];
        # Wants, not requires: a broker that restarts must not take the agents along.
        wants = [ "nats.service" "network-online.target" ];
        after = [ "nats.service" "network-online.target" ];
        # systemd-notify is how Node speaks to the notify socket.
        # bubblewrap, setpriv and prlimit put cells behind walls of their own.
        path = [ config.systemd.package pkgs.bubblewrap pkgs.util-linux ];
        restartTriggers = [ configFile ];
        serviceConfig = hardening // {
          # The daemon, which runs no guest code, may make namespaces; the cells it puts into them may not, nor anything else their
          # own filter refuses (docs/security.md, "Around the cell's process").
          RestrictNamespaces = "user pid net ipc mnt";
          PrivateMounts = true;
          SystemCallFilter = hardening.SystemCallFilter ++ [ "@mount" "capset" ];
          # What puts cells behind walls reads /proc/sys (bwrap the overflow user, setpriv the last capability), and bwrap opens paths
          # with openat2, which systemd refuses where it forbids setuid bits: nobody gains by such a bit under NoNewPrivileges.
          ProcSubset = "all";
          RestrictSUIDSGID = false;
          Type = "notify";
          NotifyAccess = "all";
          WatchdogSec = 30;
          TimeoutStartSec = 90;
          TimeoutStopSec = 90;
          Restart = "on-failure";
          RestartSec = 2;
          ExecStart = "${cfg.package}/bin/cim-node-agent --config /etc/cim/config.json";
          User = "cim-agent";
          Group = "cim";
          Slice = "cim.slice";
          StateDirectory = [ "cim" (lib.removePrefix "/var/lib/" cfg.settings.stateDirectory) ];
          StateDirectoryMode = "0750";
          RuntimeDirectory = "cim";
          RuntimeDirectoryMode = "0750";
          # Each cell gets a group of its own below this unit; the daemon itself sits in `daemon`, since a group that holds
          # processes cannot hand controllers down. Visible groups must stay writable, hence no ProtectControlGroups.
          Delegate = "cpu memory pids";
          DelegateSubgroup = "daemon";
          ProtectControlGroups = false;
          TasksMax = 4096;
          LimitNOFILE = 65536;
          # One cell over its limit dies alone.
          OOMPolicy = "continue";
          LoadCredential =
            lib.mapAttrsToList (name: file: "${name}:${file}") cfg.credentials
            ++ lib.optional (guarded && !nats.tls.verifyAndMap) "nats-password:${config.cim.secrets.directory}/nats-cim-node-agent"
            ++ lib.optional (cfg.tls.certFile != null) "tls-cert:${cfg.tls.certFile}"
            ++ lib.optional (cfg.tls.keyFile != null) "tls-key:${cfg.tls.keyFile}";
        }
        // lib.optionalAttrs staysHere {
          IPAddressDeny = "any";
          IPAddressAllow = "localhost";
        }
        // lib.optionalAttrs (cfg.memoryMax != null) { MemoryMax = cim.memoryMax cfg.memoryMax; }
        // lib.optionalAttrs (cfg.cpuQuota != null) { CPUQuota = cim.cpuQuota cfg.cpuQuota; }
        // lib.optionalAttrs (lib.elem "gpu" instance.capabilities) {
          PrivateDevices = false;
          DevicePolicy = "closed";
          DeviceAllow = [ "char-nvidia rw" "char-nvidia-uvm rw" "char-drm rw" "/dev/kfd rw" ];
        };
      };

      assertions = [
        {
          assertion = nats.enable -> nats.jetstream;
          message = "services.nats.jetstream: the node-agent keeps events and state in the leaf's JetStream; set it to true or set cim.nodeAgent.enable = false.";
        }
        {
          assertion = (cfg.tls.certFile == null) == (cfg.tls.keyFile == null);
          message = "cim.nodeAgent.tls: certFile and keyFile belong together; set both or neither.";
        }
        {
          assertion = lib.all (name: builtins.match "[A-Za-z0-9._-]{1,100}" name != null) (lib.attrNames cfg.credentials);
          message = "cim.nodeAgent.credentials: a name has 1 to 100 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"; rename the secret.";
        }
      ];
      warnings =
        lib.optional (nats.enable && nats.tls.enable && nats.tls.verify && cfg.tls.certFile == null)
          "cim.nodeAgent.tls.certFile: services.nats.tls.verify asks every client for a certificate and the node-agent has none, so it cannot reach its leaf; set certFile and keyFile."
        ++ lib.optional (nats.enable && nats.leafnode.remotes == [ ] && !config.cim.registry.enable)
          "services.nats.leafnode.remotes is empty: this instance runs alone; add the hub's address, e.g. [ { url = \"nats://hub.example.com:7422\"; } ].";
    })
  ];
}
