# The door of the harness: machines out of modules, without nixpkgs. `libPath` is nixpkgs' own lib where one is at hand.
{
  libPath ? null,
}:

let
  lib = if libPath == null then import ./lib else import libPath;
  pkgs = import ./pkgs.nix { inherit lib; };
  render = import ./render.nix { inherit lib pkgs; };

  evaluate =
    {
      modules,
      shims ? true,
    }:
    lib.evalModules {
      specialArgs = {
        inherit pkgs;
        modulesPath = toString ./modules;
      };
      modules = [
        ./modules
        (if shims then ../modules else ../modules/core.nix)
      ]
      # What nixpkgs' own file would be imported by; without the shims they are the stand-ins as they are.
      ++ modules;
    };
in
{
  inherit lib pkgs evaluate;
  machine = modules: render (evaluate { inherit modules; }).config;
  core = modules: render (evaluate { inherit modules; shims = false; }).config;
  # Options CIM declares itself, for docs/options.md.
  list = lib.optionList (evaluate { modules = [ ]; }).options;
}
