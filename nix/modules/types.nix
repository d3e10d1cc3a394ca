# Types of CIM's own words. Each follows a parser of packages/contracts (ids.ts, quantity.ts): what those accept is accepted here, and slips
# are refused while the machine is evaluated; nix-check tries both on the same values. `cim-node-agent --check` has the last word.
{ lib }:

let
  inherit (lib) types;

  # A pattern with a name of its own: people read the description, not the expression.
  named =
    description: pattern:
    types.strMatching pattern // { inherit description; };

  byteUnits = "(B|Ki|Mi|Gi|Ti|KiB|MiB|GiB|TiB|k|K|M|G|T|kB|KB|MB|GB|TB)?";
in
rec {
  instanceId = named ''an instance id (1 to 63 of a-z, 0-9 and "-", not at the ends)'' "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  capability = named "a capability (a-z, 0-9, dots and dashes, at most 63)" "[a-z0-9][a-z0-9.-]{0,62}";
  bytes = named ''a number of bytes such as "4Gi" or "64GB"'' "[0-9]{1,16}([.][0-9]{1,6})?${byteUnits}";
  cpu = named ''a number of cores such as "2" or "500m"'' "[0-9]{1,9}([.][0-9]{1,3})?m?";
  duration = named ''a duration such as "30m" or "1h30m"'' "([0-9]{1,12}(ms|s|m|h|d))+";
  publicKey = named ''a public key as "alchemist keys show" prints it (56 of A-Z and 2-7, the first is A or O)'' "[AO][A-Z2-7]{55}";
  # Grants and bounds: a NATS subject with wildcards, a host with all below it.
  subject = named ''a NATS subject or pattern such as "orders.*.created" or "orders.>"'' "(>|([*]|[A-Za-z0-9_$/=+:@~-]+)([.]([*]|[A-Za-z0-9_$/=+:@~-]+))*([.]>)?)";
  host = named ''a host such as "api.example.org", all below one as "*.example.org", or "*"'' "([*]|([*][.])?[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*|[[][0-9a-f:]+[]])";
  instant = named ''a time such as "2027-01-01T00:00:00Z"'' "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?Z";
  natsUrl = named ''an address such as "nats://hub.example.com:7422"'' "(nats|tls|nats-leaf|ws|wss)://[^ \"]+";

  # A file of the running machine. A path literal would copy the secret into the store, where everybody can read it.
  secretFile =
    types.addCheck types.str (path: lib.hasPrefix "/" path && !lib.hasPrefix builtins.storeDir path)
    // {
      description = "an absolute path outside the Nix store, as a string";
    };

  # Cores for systemd's CPUQuota: "2" -> "200%", "500m" -> "50%".
  cpuQuota =
    text:
    let
      milli = lib.hasSuffix "m" text;
      number = builtins.fromJSON (lib.removeSuffix "m" text);
    in
    "${toString (builtins.floor ((if milli then number else number * 1000) / 10))}%";

  # Bytes for systemd's MemoryMax, which counts in units of 1024 only; a decimal unit becomes plain bytes.
  memoryMax =
    text:
    let
      parts = builtins.match "([0-9]+)([.][0-9]+)?([A-Za-z]*)" text;
      number = builtins.fromJSON (builtins.elemAt parts 0 + lib.optionalString (builtins.elemAt parts 1 != null) (builtins.elemAt parts 1));
      unit = builtins.elemAt parts 2;
      power = base: lib.foldl' (product: _: product * base) 1;
      order = { k = [ 1 ]; m = [ 1 2 ]; g = [ 1 2 3 ]; t = [ 1 2 3 4 ]; };
      letter = lib.toLower (builtins.substring 0 1 unit);
      base = if lib.hasInfix "i" unit then 1024 else 1000;
    in
    toString (builtins.floor (number * power base (order.${letter} or [ ])));
}
