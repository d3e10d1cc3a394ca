# nixos/modules/config/sysctl.nix
{ lib, ... }:

let
  value = lib.types.nullOr (lib.types.oneOf [ lib.types.bool lib.types.str lib.types.int ]);
  largest = lib.types.mkOptionType or lib.mkOptionType {
    name = "largest";
    check = entry: builtins.isInt entry || builtins.isString entry;
    merge = _: definitions: builtins.foldl' lib.max 0 (map (definition: definition.value) definitions);
  };
  buffer = lib.mkOption {
    type = lib.types.nullOr largest;
    default = null;
  };
in
{
  options.boot.kernel.sysctl = lib.mkOption {
    default = { };
    type = lib.types.submodule {
      freeformType = lib.types.attrsOf value;
      options = {
        "net.core.rmem_max" = buffer;
        "net.core.wmem_max" = buffer;
      };
    };
  };
}
