# NixOS VM tests, one name each. They need a Linux host with KVM: nix build .#checks.x86_64-linux.leaf
{
  pkgs,
  module ? ../modules,
}:

let
  run =
    name:
    pkgs.testers.runNixOSTest {
      imports = [ ./${name}.nix ];
      inherit name;
      globalTimeout = 900;
      extraBaseModules = {
        imports = [ module ];
        cim.package = pkgs.lib.mkDefault (import ../packages { inherit pkgs; }).cim;
      };
      testScript = builtins.readFile ./${name}.py;
    };
in
pkgs.lib.genAttrs [
  "leaf"
  "fleet"
  "limits"
  "guide"
] run
