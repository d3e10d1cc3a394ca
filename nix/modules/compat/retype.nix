# Gives one option of a module of nixpkgs another type. `coercedTo` never merges with what is declared already, so the module is
# disabled and imported again with that one type wrapped. Holds for a module that is a function whose result has plain `options`.
{
  lib,
  modulesPath,
  path,
  at,
  wrap,
}:

let
  upstream = import (modulesPath + "/${path}");
  patch =
    module:
    module
    // {
      options = lib.updateManyAttrsByPath [
        {
          path = at;
          update = option: option // { type = wrap option.type; };
        }
      ] module.options;
    };
in
{
  key = "cim-retype-${path}";
  disabledModules = [ path ];
  imports = [ (lib.setFunctionArgs (args: patch (upstream args)) (lib.functionArgs upstream)) ];
}
