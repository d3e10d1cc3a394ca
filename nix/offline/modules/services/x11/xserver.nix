# nixos/modules/services/x11/xserver.nix
{ lib, ... }:
{
  options.services.xserver.videoDrivers = lib.mkOption {
    type = lib.types.listOf lib.types.str;
    default = [
      "modesetting"
      "fbdev"
    ];
  };
}
