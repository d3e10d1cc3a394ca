# The guide's minimal machine as it stands, with its firewall and tuning blocks: it boots, and its rules do not pile up.
{
  nodes.machine = {
    imports = [ ../../examples/minimal.nix ];
    virtualisation.memorySize = 2048;
    networking.firewall.extraCommands = ''
      iptables -A INPUT -p tcp --dport 6222 -s 10.0.0.0/8 -j ACCEPT
      iptables -A INPUT -p tcp --dport 6222 -j DROP
    '';
    services.nats.extraConfig = ''
      max_payload: 8MB
      max_pending: 64MB
    '';
    services.nats.authorization.users = [
      {
        user = "cim-agent";
        permissions = {
          publish = [ "agent.>" ];
          subscribe = [ "events.>" ];
        };
      }
    ];
  };
}
