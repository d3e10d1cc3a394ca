# The hub of a fleet: nats-server with a leafnode port, JetStream and the registry. One entry for each leaf.
{
  cim.instance.id = "cim-hub-001";

  cim.registry = {
    enable = true;
    instances = {
      cim-prod-001.passwordFile = "/run/secrets/leaf-cim-prod-001";
      cim-minimal.passwordFile = "/run/secrets/leaf-cim-minimal";
    };
  };

  cim.trust.publishers = [
    {
      name = "acme";
      key = "AAQC5XWZ6UUUHR6CYBMRWHQVQ5PPKVDRWXQHK7NNRMT5HVZZNXK5DVYV";
    }
  ];
}
