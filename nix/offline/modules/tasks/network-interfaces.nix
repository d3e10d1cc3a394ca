# nixos/modules/tasks/network-interfaces.nix
{ lib, ... }:
{
  options.networking = {
    hostName = lib.mkOption {
      type = lib.types.strMatching "([[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?)?";
      default = "nixos";
    };
    enableIPv6 = lib.mkOption {
      type = lib.types.bool;
      default = true;
    };
  };
}
