# nixos/modules/misc/version.nix
{ lib, ... }:
{
  options.system.stateVersion = lib.mkOption {
    type = lib.types.str;
    default = "26.05";
  };
}
