# A leaf of examples/hub.nix: it logs in at the hub with its id and a password from a file, and runs what acme signed.
{
  cim = {
    instance = {
      id = "cim-prod-001";
      location = "us-east-1";
    };
    domains.agent.config.maxAgents = 100;
    trust.publishers = [
      {
        name = "acme";
        key = "AAQC5XWZ6UUUHR6CYBMRWHQVQ5PPKVDRWXQHK7NNRMT5HVZZNXK5DVYV";
      }
    ];
    nodeAgent = {
      memoryMax = "24Gi";
      cpuQuota = "8";
      credentials.openai-key = "/run/secrets/openai";
    };
  };

  services.nats.leafnode.remotes = [
    {
      url = "nats://hub.example.com:7422";
      user = "cim-prod-001";
      passwordFile = "/run/secrets/leaf-password";
    }
  ];
}
