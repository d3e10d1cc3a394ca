# What CIM adds to services.nats. Every friendly option writes services.nats.settings, which stays the single source of the file.
{ config, lib, ... }:

let
  inherit (lib) mkDefault mkIf;
  cfg = config.services.nats;
  cim = config.cim;
in
{
  imports = [
    ./leafnode.nix
    ./authorization.nix
    ./tls.nix
    ./config-file.nix
  ];

  config = mkIf (cfg.enable && (cim.nodeAgent.enable || cim.registry.enable)) {
    services.nats = {
      serverName = mkDefault cim.instance.id;
      jetstream = mkDefault true;
      settings = {
        # Monitoring is for this machine: the page has no password.
        http = mkDefault "127.0.0.1:8222";
        # Without users or certificates whoever reaches the port may do anything, so then only this machine reaches it.
        host = mkDefault (if cfg.authorization.users != [ ] || cfg.tls.verify || cim.registry.enable then "0.0.0.0" else "127.0.0.1");
        max_payload = mkDefault 8388608;
        # A hub and a leaf must not share a JetStream domain; "hub" is the hub's own.
        jetstream.domain = mkIf cfg.jetstream (mkDefault cim.instance.id);
      };
    };
  };
}
