# A hub and a leaf that joins it with a password from a file, the node-agent on it, and the registry beside the hub.
let
  # Secrets of a test are no secrets; on a real machine these files come from sops-nix or agenix.
  leafPassword = "leaf-password-of-this-test";
  passwordFile = "/run/test-secrets/leaf";
  secret.systemd.tmpfiles.rules = [
    "d /run/test-secrets 0700 root root -"
    "f ${passwordFile} 0600 root root - ${leafPassword}"
  ];
in
{
  nodes.hub = {
    imports = [ secret ];
    virtualisation.memorySize = 640;
    cim.instance.id = "cim-hub-001";
    cim.registry = {
      enable = true;
      instances.cim-leaf-001 = { inherit passwordFile; };
    };
    systemd.tmpfiles.rules = [
      ''f /etc/cim/tokens.json 0640 root cim-registry - {"tokens":[]}''
    ];
  };

  nodes.leaf =
    { lib, ... }:
    {
      imports = [ secret ];
      virtualisation.memorySize = 768;
      # A test machine may be emulated: forty times slower to start Node than a real one.
      systemd.services.cim-node-agent.serviceConfig.TimeoutStartSec = lib.mkForce 900;
      cim.nodeAgent.settings.sandbox.startTimeout = "5m";
      cim.instance.id = "cim-leaf-001";
      cim.domains.agent.config.maxAgents = 10;
      cim.nodeAgent.memoryMax = "1Gi";
      services.nats.leafnode.remotes = [
        {
          url = "nats://hub:7422";
          user = "cim-leaf-001";
          inherit passwordFile;
        }
      ];
    };
}
