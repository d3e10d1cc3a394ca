# high-performance-cim.nix
{ config, pkgs, lib, ... }:

{
  cim = {
    instance = {
      id = "cim-performance";
      capabilities = [ "graph" "workflow" "agent" "gpu" ];
    };
    
    domains = {
      graph = {
        enable = true;
        config = {
          persistence = "rocksdb";
          cache = "64GB";
          parallelism = 32;
        };
      };
      
      agent = {
        enable = true;
        config = {
          gpu = true;
          providers = [ "local-llm" ];
          maxAgents = 1000;
        };
      };
    };
  };
  
  # GPU support
  services.xserver.videoDrivers = [ "nvidia" ];
  hardware.nvidia.package = config.boot.kernelPackages.nvidiaPackages.stable;
}
