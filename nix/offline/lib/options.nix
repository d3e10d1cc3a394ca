# Declarations and the properties a definition may carry.
{ lib }:
rec {
  mkOption = set: { _type = "option"; } // set;
  isOption = value: builtins.isAttrs value && (value._type or null) == "option";
  mkEnableOption =
    what:
    mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  # Smaller wins: force, plain (100), default, what an option declares.
  mkForce = mkOverride 50;
  mkDefault = mkOverride 1000;
  mkOptionDefault = mkOverride 1500;
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;

  showOption =
    path:
    lib.concatMapStringsSep "." (
      part: if builtins.match "[A-Za-z_*<][A-Za-z0-9_*>'-]*" part != null then part else builtins.toJSON part
    ) path;
  showDefinitions =
    definitions:
    lib.concatMapStrings (
      { file, value }:
      let
        shown = builtins.tryEval (show value);
      in
      "\n- In `${toString file}'${lib.optionalString shown.success ": ${shown.value}"}"
    ) definitions;
  show =
    value:
    if builtins.isFunction value then
      "<function>"
    else if builtins.isAttrs value then
      if lib.isDerivation value then "<derivation ${value.name}>" else "{ ${lib.concatMapStrings (name: "${name} = …; ") (builtins.attrNames value)}}"
    else if builtins.isList value then
      "[ ${lib.concatMapStrings (inner: "${show inner} ") value}]"
    else
      builtins.toJSON value;
}
