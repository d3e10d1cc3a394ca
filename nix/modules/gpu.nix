# A machine that offers `gpu` and drives it with NVIDIA's driver.
{ config, lib, ... }:

let
  wanted = config.cim.nodeAgent.enable && lib.elem "gpu" config.cim.instance.capabilities;
  nvidia = lib.elem "nvidia" config.services.xserver.videoDrivers;
in
{
  config = lib.mkIf wanted {
    # From driver 560 on nixpkgs wants this said. The open modules serve every card since Turing, as the guide asks for (RTX 3080).
    hardware.nvidia.open = lib.mkIf nvidia (lib.mkDefault true);

    warnings =
      lib.optional nvidia "cim.instance.capabilities: \"gpu\" with the nvidia driver needs `nixpkgs.config.allowUnfree = true;` where nixpkgs is imported."
      ++ lib.optional (
        !nvidia && !lib.elem "amdgpu" config.services.xserver.videoDrivers
      ) "cim.instance.capabilities: \"gpu\" is named and services.xserver.videoDrivers has no \"nvidia\" or \"amdgpu\"; add the driver.";
  };
}
