# The project without flakes: `nix-build -A packages.cim`, `imports = [ (import ./. { }).nixosModules.default ];`
{
  pkgs ? import <nixpkgs> { },
}:

{
  packages = import ./nix/packages { inherit pkgs; };
  overlay = final: _: { cim = (import ./nix/packages { pkgs = final; }).cim; };
  nixosModules = {
    core = ./nix/modules/core.nix;
    default = ./nix/modules;
  };
  tests = import ./nix/tests { inherit pkgs; };
}
