# nixos/modules/system/boot/kernel.nix
{ lib, pkgs, ... }:
{
  options.boot.kernelPackages = lib.mkOption {
    type = lib.types.raw;
    default = {
      nvidiaPackages.stable = pkgs.fake "nvidia-x11" // {
        version = "580.95";
      };
    };
  };
}
