# `security.apparmor.policies.<name> = "text"`, and the guide's two profiles attached to the units they are meant for.
{
  config,
  lib,
  modulesPath,
  ...
}:

let
  inherit (lib) types;
  cfg = config.security.apparmor;
  # "-": a kernel that has not booted with AppArmor yet still starts the unit.
  attach = name: unit: {
    systemd.services = lib.mkIf (cfg.enable && cfg.policies ? ${name}) { ${unit}.serviceConfig.AppArmorProfile = lib.mkDefault "-${name}"; };
  };
in
{
  imports = [
    (import ./retype.nix {
      inherit lib modulesPath;
      path = "security/apparmor.nix";
      at = [
        "security"
        "apparmor"
        "policies"
      ];
      wrap = type: types.attrsOf (types.coercedTo types.str (profile: { inherit profile; }) type.nestedTypes.elemType);
    })
  ];

  config = lib.mkMerge [
    (lib.mkIf (cfg.enable && config.services.nats.enable) (attach "nats" "nats"))
    (lib.mkIf (cfg.enable && config.cim.nodeAgent.enable) (attach "cim-agent" "cim-node-agent"))
  ];
}
