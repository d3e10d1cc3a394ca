# The few packages and functions of nixpkgs that the modules use. Nothing here can be built: a package is a name with a store path made
# of its content, and what would be a build is kept as data (`build`), which nix-check carries out with the programs of this machine.
{ lib }:

let
  hash = value: builtins.substring 0 32 (builtins.hashString "sha256" (builtins.unsafeDiscardStringContext (builtins.toJSON value)));

  derivation =
    name: content: extra:
    let
      self = {
        type = "derivation";
        inherit name;
        outPath = "/nix/store/${hash [ name content ]}-${name}";
        drvPath = "/nix/store/${hash [ name content ]}-${name}.drv";
      }
      // extra;
    in
    self;

  # Packages keep a path people can read in golden files.
  fake = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    drvPath = "/nix/store/00000000000000000000000000000000-${name}.drv";
    version = "0";
  };

  writeText = name: text: derivation name text { inherit text; };

  json =
    let
      inherit (lib) types;
      value =
        types.nullOr (
          types.oneOf [
            types.bool
            types.int
            types.float
            types.str
            types.path
            (types.attrsOf value)
            (types.listOf value)
          ]
        )
        // {
          description = "JSON value";
          # It holds itself: whoever asks for what is inside would never come to an end.
          getSubOptions = _: { };
        };
    in
    value;
in
{
  inherit fake writeText;
  formats.json = _: {
    type = json;
    generate = name: value: writeText name (builtins.toJSON value);
  };
  writeShellScript = name: text: derivation name text { text = "#!/bin/bash\n${text}"; };
  runCommand =
    name: env: script:
    derivation name [ env script ] {
      text = env.text or null;
      build = {
        inherit name script;
        text = env.text or "";
      };
    };
}
// lib.genAttrs [
  "bash"
  "bubblewrap"
  "cim"
  "coreutils"
  "curl"
  "jq"
  "openssl"
  "systemd"
  "util-linux"
] fake
// {
  # Modules look at its version.
  nats-server = fake "nats-server" // { version = "2.15.1"; };
}
