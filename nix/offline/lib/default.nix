# A small stand-in for nixpkgs' `lib`: the module system and the functions CIM's modules use, so that they can be evaluated on a machine
# that has nix and no nixpkgs. Never imported by flake.nix.
#
# Promises:
# L1. What it does not have is missing, never half there: a module that uses more fails by name.
# L2. With NIXPKGS_LIB set, nix-check evaluates everything with both libraries and compares (test/nix has the odd cases too).
# Written from the manual's words on options, priorities and types; laziness follows from the rule that option names never
# depend on values.
let
  lib =
    import ./basics.nix
    // import ./options.nix { inherit lib; }
    // import ./modules.nix { inherit lib; }
    // import ./docs.nix { inherit lib; }
    // {
      types = import ./types.nix { inherit lib; };
      trivial.release = "offline";
    };
in
lib
