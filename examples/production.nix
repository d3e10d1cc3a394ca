# cim-instance-config.nix
{ config, pkgs, lib, ... }:

{
  # CIM Identity
  cim = {
    instance = {
      id = "cim-prod-001";
      name = "Production CIM Instance 001";
      location = "us-east-1";
      capabilities = [ "workflow" "agent" "graph" ];
    };
  };

  # NATS Leaf Node Configuration
  services.nats = {
    enable = true;
    jetstream = true;
    
    leafnode = {
      remotes = [{
        url = "nats://hub.cim.example.com:7422";
        credentials = "/etc/nats/leaf.creds";
      }];
    };
    
    authorization = {
      users = [
        {
          user = "cim-agent";
          permissions = {
            publish = [ "agent.>" "workflow.>" ];
            subscribe = [ "commands.>" "events.>" ];
          };
        }
      ];
    };
  };

  # Domain Services
  cim.domains = {
    graph = {
      enable = true;
      config = {
        maxNodes = 100000;
        persistence = "rocksdb";
      };
    };
    
    workflow = {
      enable = true;
      config = {
        maxConcurrent = 50;
        timeout = "30m";
      };
    };
    
    agent = {
      enable = true;
      config = {
        providers = [ "openai" "anthropic" "ollama" ];
        maxAgents = 100;
      };
    };
  };
}
