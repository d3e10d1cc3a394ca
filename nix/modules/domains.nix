# Domains of the instance: the known ones typed, any other accepted. Each entry has the shape of the guide's DomainConfiguration, so
# `(builtins.fromJSON …).domains` fits as it is.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cim = import ./types.nix { inherit lib; };
  json = (pkgs.formats.json { }).type;
  enabled = lib.filterAttrs (_: domain: domain != null && domain.enable) config.cim.domains;

  optionOf =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };

  domain =
    known:
    types.submodule {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether this domain is switched on.";
        };
        id = optionOf types.str "graph-main" "Id of the domain where several composed files speak of it.";
        version = optionOf types.str "1.0.0" "Version of the configuration; written into status.";
        dependencies = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "graph" ];
          description = "Domains this one needs; each must be enabled too.";
        };
        resources = {
          cpu = optionOf cim.cpu "2" "Cores.";
          memory = optionOf cim.bytes "4Gi" "Memory.";
          storage = optionOf cim.bytes "20Gi" "Storage.";
          gpu = optionOf types.str "1" "Graphics cards.";
        };
        config = mkOption {
          type = types.submodule {
            freeformType = json;
            options = known;
          };
          default = { };
          example = {
            maxConcurrent = 50;
          };
          description = "Configuration of the domain. Keys CIM does not know are passed on as they are.";
        };
      };
    };

  knownDomain =
    what: known:
    mkOption {
      type = types.nullOr (domain known);
      default = null;
      example = {
        enable = true;
      };
      description = what;
    };
in
{
  options.cim.domains = mkOption {
    default = { };
    example = {
      workflow = {
        enable = true;
        config.maxConcurrent = 50;
      };
    };
    description = "Domains of this instance. A name CIM does not know is a domain of your own, served by a workload of that name.";
    type = types.submodule {
      freeformType = types.attrsOf (domain { });
      options = {
        graph = knownDomain "The graph domain." {
          maxNodes = optionOf types.ints.positive 100000 "Most nodes a graph may have.";
          persistence = optionOf (types.enum [
            "rocksdb"
            "memory"
          ]) "rocksdb" "Where graphs are kept.";
          indexing = optionOf types.str "rtree" "Index of spatial questions.";
          cache = optionOf cim.bytes "64GB" "Memory for cached graphs.";
          parallelism = optionOf (types.ints.between 1 4096) 32 "Threads that answer questions.";
        };
        workflow = knownDomain "The workflow domain." {
          maxConcurrent = optionOf types.ints.positive 50 "Workflows in flight at most.";
          timeout = optionOf cim.duration "30m" "Longest run of one workflow.";
          persistence = optionOf types.bool true "Whether a run survives a restart.";
        };
        agent = knownDomain "The agent domain: the node-agent itself." {
          providers = optionOf (types.either (types.listOf types.str) (types.attrsOf json)) [
            "openai"
            "ollama"
          ] "Model providers agents may be granted, by name or with settings. API keys go to cim.nodeAgent.credentials.";
          maxAgents = optionOf (types.ints.between 1 100000) 100 "Replicas this instance runs at most.";
          gpu = optionOf types.bool true "Whether agents may ask for the graphics card.";
        };
      };
    };
  };

  config = lib.mkIf (enabled != { }) {
    # A machine with a domain is an instance: without its leaf and its node-agent it would never join anything.
    services.nats.enable = lib.mkDefault true;
    cim.nodeAgent.enable = lib.mkDefault true;

    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: entry:
        map (dependency: {
          assertion = enabled ? ${dependency};
          message = "cim.domains.${name}.dependencies: \"${dependency}\" is not enabled; set cim.domains.${dependency}.enable = true or remove it from the list.";
        }) entry.dependencies
        ++ [
          {
            assertion = builtins.match "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" name != null;
            message = "cim.domains.\"${name}\": a domain's name has 1 to 63 of a-z, 0-9 and \"-\", not at the ends; rename it.";
          }
        ]
      ) enabled
    );

    warnings = lib.optional (
      (enabled.agent.config.gpu or null) == true && !lib.elem "gpu" config.cim.instance.capabilities
    ) "cim.domains.agent.config.gpu is true and cim.instance.capabilities has no \"gpu\"; add it, or agents that ask for a card find none.";
  };
}
