# nixos/modules/services/networking/firewall{.nix,-iptables.nix,-nftables.nix}
{ lib, config, ... }:

let
  cfg = config.networking.firewall;
  lines = lib.mkOption {
    type = lib.types.lines;
    default = "";
  };
in
{
  options.networking = {
    nftables.enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
    };
    firewall = {
      enable = lib.mkOption {
        type = lib.types.bool;
        default = true;
      };
      backend = lib.mkOption {
        type = lib.types.enum [
          "iptables"
          "nftables"
          "firewalld"
        ];
        default = if config.networking.nftables.enable then "nftables" else "iptables";
      };
      allowedTCPPorts = lib.mkOption {
        type = lib.types.listOf lib.types.port;
        default = [ ];
        apply = ports: builtins.sort (a: b: a < b) (lib.unique ports);
      };
      extraCommands = lines;
      extraStopCommands = lines;
      extraInputRules = lines;
    };
  };

  config.assertions = [
    {
      assertion = cfg.backend == "nftables" -> cfg.extraCommands == "" && cfg.extraStopCommands == "";
      message = "extraCommands is incompatible with the nftables based firewall: ${cfg.extraCommands}";
    }
  ];
}
