# Data without what nobody set: null options are absent in a file, and so is a set in which nothing is left.
{ lib }:
let
  clean =
    value:
    if builtins.isAttrs value then
      lib.filterAttrs (_: inner: inner != null && !(builtins.isAttrs inner && inner == { })) (lib.mapAttrs (_: clean) value)
    else if builtins.isList value then
      map clean value
    else
      value;
in
clean
