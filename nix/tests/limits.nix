# The least that shows limits kept by a kernel: a hub an operator works from, and one leaf. Of the machines of fleet.nix.
let
  fleet = (import ./fleet.nix).nodes;
in
{
  nodes = {
    hub.imports = [
      fleet.hub
      fleet.control
    ];
    inherit (fleet) leaf1;
  };
}
