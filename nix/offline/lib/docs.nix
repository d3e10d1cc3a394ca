# A list of every option with what its declaration says, sub-options of submodules included.
{ lib }:

let
  text =
    value:
    if builtins.isAttrs value && (value._type or null) == "literalExpression" then
      value.text
    else
      value;

  walk =
    option:
    let
      inner = option.type.getSubOptions option.loc;
    in
    if option.internal or false then
      [ ]
    else
      [
        {
          name = lib.showOption option.loc;
          type = option.type.description or option.type.name;
          description = option.description or null;
          hasDefault = option ? default || option ? defaultText;
          # An option whose default is computed says how in words.
          default = if option ? defaultText then text option.defaultText else option.default or null;
          literal = option ? defaultText;
          hasExample = option ? example;
          example = text (option.example or null);
        }
      ]
      ++ level inner;

  level =
    options:
    builtins.concatLists (
      lib.mapAttrsToList (
        name: value:
        if name == "_module" || name == "_freeformOptions" then
          [ ]
        else if lib.isOption value then
          walk value
        else if builtins.isAttrs value && !(value ? outPath) then
          level value
        else
          [ ]
      ) options
    );
in
{
  optionList = level;
}
