# What CIM adds to services.nats. Every friendly option writes services.nats.settings, which stays the single source of the file.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) literalExpression mkDefault mkIf mkOption types;
  cfg = config.services.nats;
  cim = config.cim;
  keepsLimits = import ./keeps-limits.nix;
  inherit (cim.nats.package) version;
in
{
  imports = [
    ./leafnode.nix
    ./authorization.nix
    ./tls.nix
    ./config-file.nix
  ];

  # nixpkgs names the server's package nowhere; where a newer one does, that is the default.
  options.cim.nats.package = mkOption {
    type = types.package;
    default = cfg.package or pkgs.nats-server;
    defaultText = literalExpression "pkgs.nats-server";
    example = literalExpression "inputs.nixpkgs-unstable.legacyPackages.x86_64-linux.nats-server";
    description = "The nats-server of this machine, leaf or hub. On a hub 2.11.16, 2.12.7, 2.14.0 or newer: older ones do not judge what a leaf sends.";
  };

  config = mkIf (cfg.enable && (cim.nodeAgent.enable || cim.registry.enable)) {
    warnings = lib.optional (cfg.leafnode.port != null && !keepsLimits version)
      "cim.nats.package is nats-server ${version}, and this hub lets leaves in: it does not judge what a leaf sends, so whoever takes a leaf's credential may send anything. Set cim.nats.package to a nats-server of 2.11.16, 2.12.7, 2.14.0 or newer, e.g. that of nixpkgs-unstable.";

    services.nats = {
      serverName = mkDefault cim.instance.id;
      jetstream = mkDefault true;
      settings = {
        # Monitoring is for this machine: the page has no password.
        http = mkDefault "127.0.0.1:8222";
        # Without users or certificates whoever reaches the port may do anything, so then only this machine reaches it.
        host = mkDefault (if cfg.authorization.users != [ ] || cfg.tls.verify || cim.registry.enable then "0.0.0.0" else "127.0.0.1");
        max_payload = mkDefault 8388608;
        # A dead link is known within half a minute: with the server's own two minutes the hub would list a leaf for six that is not there.
        ping_interval = mkDefault "10s";
        ping_max = mkDefault 2;
        # A stop tells clients, waits, and lets them go one after another. Ours go at once, and systemd waits 90 s at most.
        lame_duck_grace_period = mkDefault "1s";
        lame_duck_duration = mkDefault "30s";
        # A hub and a leaf must not share a JetStream domain; "hub" is the hub's own.
        jetstream.domain = mkIf cfg.jetstream (mkDefault cim.instance.id);
      };
    };
  };
}
