# The least a machine needs besides an example to be one: a disk and a boot loader it never uses.
{ lib, ... }:
{
  boot.loader.grub.device = lib.mkDefault "nodev";
  fileSystems."/" = lib.mkDefault {
    device = "none";
    fsType = "tmpfs";
  };
  nixpkgs.config.allowUnfreePredicate =
    package:
    lib.elem (lib.getName package) [
      "nvidia-x11"
      "nvidia-settings"
      "nvidia-persistenced"
    ];
  system.stateVersion = "26.05";
}
