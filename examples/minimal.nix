# minimal-cim.nix
{ config, pkgs, lib, ... }:

{
  cim = {
    instance.id = "cim-minimal";
    
    domains.graph = {
      enable = true;
      config.persistence = "memory";
    };
  };
  
  services.nats = {
    enable = true;
    leafnode.remotes = [{
      url = "nats://hub:7422";
    }];
  };
}
