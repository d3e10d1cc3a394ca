# nixos/modules/hardware/video/nvidia.nix
{ lib, config, ... }:

let
  cfg = config.hardware.nvidia;
in
{
  options.hardware.nvidia = {
    package = lib.mkOption {
      type = lib.types.package;
      default = config.boot.kernelPackages.nvidiaPackages.stable;
    };
    open = lib.mkOption {
      type = lib.types.nullOr lib.types.bool;
      default = null;
    };
  };

  config.assertions = [
    {
      assertion = lib.elem "nvidia" config.services.xserver.videoDrivers -> cfg.open != null;
      message = "You must configure `hardware.nvidia.open` on NVIDIA driver versions >= 560.";
    }
  ];
}
