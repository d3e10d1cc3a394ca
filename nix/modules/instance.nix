# Who this machine is.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types literalExpression;
  cim = import ./types.nix { inherit lib; };
  cfg = config.cim.instance;
  enabledDomains = lib.attrNames (lib.filterAttrs (_: domain: domain != null && domain.enable) config.cim.domains);
in
{
  options.cim = {
    package = mkOption {
      type = types.package;
      default = pkgs.cim or (throw "cim.package: this nixpkgs has no package `cim`; use the flake's nixosModules, its overlay, or set cim.package");
      defaultText = literalExpression "pkgs.cim";
      example = literalExpression "inputs.cim.packages.x86_64-linux.default";
      description = "Package with {command}`cim-node-agent`, {command}`cim-registry` and {command}`alchemist`.";
    };

    instance = {
      id = mkOption {
        type = cim.instanceId;
        default = config.networking.hostName;
        defaultText = literalExpression "config.networking.hostName";
        example = "cim-prod-001";
        description = ''
          Id of this instance. It is also the JetStream domain and the server name of its leaf, and a token of every subject, so it
          must be unique in the fleet and stay the same for life.
        '';
      };
      name = mkOption {
        type = types.strMatching ".{1,200}";
        default = cfg.id;
        defaultText = literalExpression "config.cim.instance.id";
        example = "Production CIM Instance 001";
        description = "Name for people.";
      };
      location = mkOption {
        type = types.nullOr (types.strMatching ".{1,200}");
        default = null;
        example = "us-east-1";
        description = "Where the machine stands.";
      };
      capabilities = mkOption {
        type = types.listOf cim.capability;
        default = enabledDomains;
        defaultText = literalExpression "the enabled domains";
        example = [
          "workflow"
          "agent"
          "gpu"
        ];
        description = "What this machine offers; a workload's manifest may require any of them.";
      };
    };
  };

  config = lib.mkIf (config.cim.nodeAgent.enable || config.cim.registry.enable) {
    assertions = [
      {
        assertion = cfg.id != "hub";
        message = ''cim.instance.id: "hub" is reserved for the hub; choose another id, e.g. "cim-hub-001".'';
      }
    ];
    warnings = map (
      name:
      "cim.instance.capabilities: \"${name}\" is named and cim.domains.${name} is not enabled; enable the domain or leave the capability out."
    ) (lib.filter (name: lib.elem name [ "graph" "workflow" "agent" ] && !lib.elem name enabledDomains) cfg.capabilities);
  };
}
