# Keys of cim.nodeAgent.settings.policy: what workloads may ask for on this instance, whoever signed them.
# packages/contracts/src/schema/policy.ts is the other half; a check keeps the two the same.
{ lib, optional }:

let
  inherit (lib) mkOption types;
  cim = import ../types.nix { inherit lib; };
  bound = type: optional type null;

  bounds = {
    publish = bound (types.listOf cim.subject) [ "orders.>" ] "Subjects a workload may be granted to publish to; each pattern asked for must lie within one. Default: any.";
    subscribe = bound (types.listOf cim.subject) [ "orders.>" ] "Subjects a workload may listen to, likewise.";
    call = bound (types.listOf cim.subject) [ "document.>" ] "Capabilities a workload may call, likewise.";
    offer = bound (types.listOf cim.subject) [ "document.>" ] "Capabilities a workload may offer here, likewise.";
    egress = bound (types.listOf cim.host) [ "api.example.org" ] "Hosts a workload may fetch from. Default: any it was granted.";
    secrets = bound (types.listOf (types.strMatching "[A-Za-z0-9][A-Za-z0-9._-]{0,63}")) [ "smtp-password" ] "Secrets a workload may be granted. Default: any.";
    kv = bound types.bool true "Whether a workload may have a key-value bucket. Default: yes.";
    memory = bound cim.bytes "256Mi" "Memory one replica may ask for.";
    cpu = bound cim.cpu "500m" "Cores one replica may ask for.";
    storage = bound cim.bytes "64Mi" "Storage one workload may ask for.";
    replicas = bound (types.ints.between 0 64) 4 "Replicas of one workload.";
    deny = {
      publish = bound (types.listOf cim.subject) [ "audit.>" ] "Subjects no workload may publish to; a pattern that could reach one is refused.";
      subscribe = bound (types.listOf cim.subject) [ "audit.>" ] "Subjects no workload may listen to, likewise.";
      call = bound (types.listOf cim.subject) [ "bank.>" ] "Capabilities no workload may call, likewise.";
    };
  };
in
bounds
// {
  publishers = mkOption {
    type = types.attrsOf (types.submodule { options = bounds; });
    default = { };
    example = {
      contractor.memory = "64Mi";
    };
    description = "Further bounds for one publisher, by its name under {option}`cim.trust.publishers`. Both must allow.";
  };
}
