# One build, several doors; the default one starts the embedded fleet.
{ pkgs }:

let
  inherit (pkgs) lib;
  cim = pkgs.callPackage ./cim.nix { };
  door = mainProgram: cim // { meta = cim.meta // { inherit mainProgram; }; };
in
{
  inherit cim;
  default = cim;
  node-agent = door "cim-node-agent";
  registry = door "cim-registry";
  alchemist = door "alchemist";
  options-doc = pkgs.writeText "options.md" (lib.fileContents ../../docs/options.md);
}
