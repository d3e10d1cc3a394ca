# Keys of cim.nodeAgent.settings.sandbox beyond the plain limits: the layers around a guest, and what it may ask for in a second.
# packages/contracts/src/schema/sandbox-layers.ts is the other half; a check keeps the two the same.
{ lib, optional }:

let
  inherit (lib) types;
  cim = import ../types.nix { inherit lib; };
  rate = example: what: optional (types.ints.between 1 1000000) null example what;
in
{
  isolation = optional (types.enum [
    "auto"
    "off"
  ]) null "auto" ''"auto" puts every layer around cells that this machine allows; "off" leaves Node's permission model and resource limits.'';
  requireLayers = optional (types.listOf (
    types.enum [
      "permission-model"
      "empty-environment"
      "own-descriptors"
      "parent-death"
      "no-new-privileges"
      "no-capabilities"
      "own-user"
      "resource-limits"
      "namespaces"
      "no-network"
      "own-files"
      "seccomp"
      "cgroup"
      "jitless"
    ]
  )) null [ "no-network" "seccomp" "cgroup" ] "Layers without which the node-agent does not start.";
  bwrap = optional types.str null "/run/current-system/sw/bin/bwrap" "Path of bubblewrap. Default: the unit's own.";
  jitless = optional (types.enum [
    "off"
    "all"
  ]) null "all" "Whether every guest runs without the just-in-time compiler: a smaller target, slower numeric code.";
  jitlessPublishers = optional (types.listOf (types.strMatching ".{1,100}")) null [ "contractor" ] "Publishers, by their name under {option}`cim.trust.publishers`, whose guests run without the just-in-time compiler.";
  allow = optional (types.listOf (
    types.enum [
      "wasm"
      "sharedMemory"
      "codegen"
    ]
  )) null [ "wasm" ] "What manifests may ask for beyond the plain language.";
  rates = {
    kv = rate 5000 "Key-value operations a second of one replica.";
    publish = rate 2000 "Messages a second of one replica.";
    emit = rate 200 "Events a second of one replica.";
    call = rate 5000 "Calls of other workloads a second of one replica.";
    fetch = rate 50 "Requests to other hosts a second of one replica.";
    other = rate 1000 "Other requests (secrets, assets) a second of one replica.";
    log = rate 100 "Log lines a second of one workload that leave the node.";
  };
  maxFetches = optional (types.ints.between 1 1000) null 8 "Requests to other hosts under way in one replica.";
  maxValue = optional cim.bytes null "1MB" "Largest value a guest may store, publish, emit or call with.";
  metricNames = optional (types.ints.between 0 10000) null 50 "Metrics of its own one workload may have.";
  debug = optional types.bool null false "Whether {command}`alchemist debug` may attach an inspector; for a developer's machine only.";
  passivateAfter = optional cim.duration null "15m" "Idle time after which a replica gives its memory back; the next call starts it again. Default: never.";
}
