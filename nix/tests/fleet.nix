# A whole fleet: a hub with its registry, two leaves, and the machine an operator works at.
let
  keys = import ./keys.nix;
  trust = {
    publishers = [
      {
        name = "test";
        inherit (keys.publisher) key;
      }
    ];
    operators = [
      {
        name = "test";
        inherit (keys.operator) key;
      }
    ];
  };

  secrets = "/run/test-secrets";
  secret = name: value: [
    "d ${secrets} 0700 root root -"
    "f ${secrets}/${name} 0600 root root - ${value}"
  ];

  ask.environment.etc."cim-test/ask".text = builtins.readFile ./ask;

  # A test machine may be emulated: forty times slower to start Node than a real one.
  patient = lib: {
    systemd.services.cim-node-agent.serviceConfig.TimeoutStartSec = lib.mkForce 900;
    cim.nodeAgent.settings.sandbox.startTimeout = "5m";
  };

  leaf = id: {
    virtualisation.memorySize = 768;
    systemd.tmpfiles.rules = secret "leaf" keys.passwords.leaf;
    cim = {
      inherit trust;
      instance = {
        inherit id;
        location = "test-bench";
      };
      domains.agent.config.maxAgents = 10;
      nodeAgent.memoryMax = "512Mi";
    };
    services.nats.leafnode.remotes = [
      {
        url = "nats://hub:7422";
        user = id;
        passwordFile = "${secrets}/leaf";
      }
    ];
  };
in
{
  nodes = {
    hub =
      { pkgs, ... }:
      {
        virtualisation.memorySize = 640;
        environment.systemPackages = [ pkgs.curl ];
        systemd.tmpfiles.rules =
          secret "leaf" keys.passwords.leaf
          ++ secret "operator" keys.passwords.operator
          ++ [
            ''f /etc/cim/tokens.json 0640 root cim-registry - {"tokens":[{"name":"test","sha256":"${builtins.hashString "sha256" keys.token}","roles":["admin"]}]}''
          ];
        cim = {
          inherit trust;
          instance.id = "cim-hub-001";
          registry = {
            enable = true;
            openFirewall = true;
            settings.http.host = "0.0.0.0";
            instances = {
              cim-leaf-001.passwordFile = "${secrets}/leaf";
              cim-leaf-002.passwordFile = "${secrets}/leaf";
            };
          };
        };
        services.nats.authorization.users = [
          {
            user = "operator";
            passwordFile = "${secrets}/operator";
          }
        ];
        networking.firewall.allowedTCPPorts = [ 4222 ];
      };

    leaf1 =
      { lib, pkgs, ... }:
      {
        imports = [
          ask
          (leaf "cim-leaf-001")
          (patient lib)
        ];
        environment.systemPackages = [
          pkgs.curl
          pkgs.jq
        ];
        # The guide's user, as it stands there: without a secret of its own.
        services.nats.authorization.users = [
          {
            user = "cim-agent";
            permissions = {
              publish = [
                "agent.>"
                "workflow.>"
              ];
              subscribe = [
                "commands.>"
                "events.>"
              ];
            };
          }
        ];
      };

    leaf2 =
      { lib, pkgs, ... }:
      {
        imports = [
          ask
          (leaf "cim-leaf-002")
          (patient lib)
        ];
        cim.backup.enable = true;
        environment.systemPackages = [
          pkgs.curl
          pkgs.jq
        ];
      };

    control =
      { config, pkgs, ... }:
      {
        imports = [ ask ];
        virtualisation.memorySize = 640;
        environment.systemPackages = [
          config.cim.package
          pkgs.curl
          pkgs.jq
        ];
        systemd.tmpfiles.rules =
          secret "publisher.seed" keys.publisher.seed
          ++ secret "operator.seed" keys.operator.seed
          ++ secret "operator" keys.passwords.operator
          ++ secret "token" keys.token;
        environment.etc = {
          "cim/profile.json".text = builtins.toJSON {
            registry = {
              url = "http://hub:8484";
              tokenFile = "${secrets}/token";
            };
            nats = {
              url = "nats://hub:4222";
              user = "operator";
              passwordFile = "${secrets}/operator";
            };
            publisherSeedFile = "${secrets}/publisher.seed";
            operatorSeedFile = "${secrets}/operator.seed";
          };
          "cim-test/hello".text = "${config.cim.package}/lib/cim/examples/hello";
          "cim-test/stress/package.json".text = builtins.readFile ./agents/stress/package.json;
          "cim-test/stress/main.js".text = builtins.readFile ./agents/stress/main.js;
          "cim-test/relay/package.json".text = builtins.readFile ./agents/relay/package.json;
          "cim-test/relay/main.js".text = builtins.readFile ./agents/relay/main.js;
        };
      };
  };
}
