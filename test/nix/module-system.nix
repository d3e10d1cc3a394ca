# Odd cases of the module system, for nix/offline/lib and nixpkgs' lib to agree on. What throws becomes "throws".
{ lib }:

let
  inherit (lib) mkOption mkIf mkMerge mkDefault mkForce mkOverride mkBefore mkAfter types;
  guarded = value: let r = builtins.tryEval (builtins.deepSeq value value); in if r.success then r.value else "throws";
  run = modules: guarded (lib.evalModules { inherit modules; }).config;
  option = type: { options.x = mkOption { inherit type; }; };
  value = type: definitions: (r: r.x or r) (run ([ (option type) ] ++ map (x: { config.x = x; }) definitions));
in
{
  plain-beats-default = value types.int [ (mkDefault 1) 2 ];
  force-beats-plain = value types.int [ 1 (mkForce 2) 3 ];
  override-between = value types.int [ (mkOverride 90 5) 1 ];
  two-plain-conflict = value types.int [ 1 2 ];
  two-equal = value types.int [ 1 1 ];
  list-order = value (types.listOf types.int) [ [ 1 ] (mkAfter [ 2 ]) (mkBefore [ 3 ]) [ 4 ] ];
  list-default-is-replaced = value (types.listOf types.int) [ (mkDefault [ 1 ]) [ 2 ] ];
  lines-join = value types.lines [ "a" "b" ];
  if-false-leaves-nothing = value (types.nullOr types.int) [ (mkIf false 1) null ];
  if-false-in-attrs = value (types.attrsOf types.int) [ { a = mkIf false 1; b = 2; } ];
  merge-of-ifs = value (types.attrsOf types.int) [ (mkMerge [ (mkIf true { a = 1; }) (mkIf false { b = 2; }) { c = 3; } ]) ];
  no-definition = value types.int [ ];
  null-and-not = value (types.nullOr types.int) [ null 1 ];
  either-left = value (types.either types.int types.str) [ 1 ];
  either-mixed = value (types.either types.int types.str) [ 1 "a" ];
  coerced = value (types.coercedTo types.int toString types.str) [ 3 ];
  enum-wrong = value (types.enum [ "a" ]) [ "b" ];
  non-empty = value (types.nonEmptyListOf types.int) [ [ ] ];
  unknown-option = run [ (option types.int) { config.y = 1; } { config.x = 1; } ];
  unknown-but-off = run [ (option types.int) { config = mkIf false { y = 1; }; } { config.x = 1; } ];
  shorthand = run [ (option types.int) { x = 4; } ];
  apply = run [ { options.x = mkOption { type = types.int; default = 1; apply = n: n + 1; }; } ];
  freeform = run [ { freeformType = types.attrsOf types.int; options.x = mkOption { type = types.int; default = 1; }; } { y = 2; } ];
  freeform-nested = run [
    { freeformType = types.attrsOf types.anything; options.a.x = mkOption { type = types.int; default = 1; }; }
    { a.y = 2; }
    { b.c = 3; }
  ];
  submodule-name = value (types.attrsOf (types.submodule ({ name, ... }: { options.n = mkOption { type = types.str; default = name; }; }))) [ { foo = { }; } ];
  submodule-config-key = value (types.attrsOf (types.submodule { options.config = mkOption { type = types.attrsOf types.int; default = { }; }; })) [ { foo.config.a = 1; } ];
  submodule-merged = value (types.submodule { options.a = mkOption { type = types.int; default = 0; }; options.b = mkOption { type = types.int; default = 0; }; }) [ { a = 1; } { b = 2; } ];
  type-merging = run [
    { options.x = mkOption { type = types.attrsOf (types.submodule { options.a = mkOption { type = types.int; default = 1; }; }); default = { }; }; }
    { options.x = mkOption { type = types.attrsOf (types.submodule { options.b = mkOption { type = types.int; default = 2; }; }); }; }
    { x.foo = { }; }
  ];
  declared-twice = run [ (option types.int) (option types.str) { x = 1; } ];
  default-twice = run [ { options.x = mkOption { default = 1; }; } { options.x = mkOption { default = 1; }; } ];
  disabled = run [ { key = "gone"; config.x = 1; options = { }; } { disabledModules = [ { key = "gone"; } ]; options.x = mkOption { type = types.int; default = 7; }; } ];
  imported-once = run [ (option (types.listOf types.int)) { imports = [ { key = "k"; config.x = [ 1 ]; } { key = "k"; config.x = [ 1 ]; } ]; config.x = [ 2 ]; } ];
  import-order = run [ (option (types.listOf types.int)) { imports = [ { config.x = [ 1 ]; } ]; config.x = [ 2 ]; } { config.x = [ 3 ]; } ];
  depends-on-config = run [ { options.x = mkOption { type = types.int; }; options.y = mkOption { type = types.int; default = 5; }; } ({ config, ... }: { config = mkIf (config.y == 5) { x = config.y + 1; }; }) ];
  unsupported-attribute = run [ { options = { }; config = { }; z = 1; } ];
  anything-deep = value types.anything [ { a.b = 1; } { a.c = [ 1 ]; } ];
  attrs-of-either = value (types.attrsOf (types.either types.lines (types.submodule { options.e = mkOption { type = types.bool; default = true; }; }))) [ { a = { }; b = "text"; } ];
  string-functions = {
    split = lib.splitString "," "a,b,,c";
    infix = [ (lib.hasInfix "." "a.b") (lib.hasInfix "." "ab") ];
    prefix = [ (lib.hasPrefix "/nix" "/nix/x") (lib.removePrefix "/" "/a") (lib.removeSuffix "m" "500m") ];
    shell = map lib.escapeShellArg [ "a" "a b" "it's" "/p.x" "" ];
    lower = lib.toLower "AbC";
  };
  set-functions = {
    filtered = lib.filterAttrs (n: v: v != null && n != "z") { a = 1; b = null; z = 2; };
    updated = lib.updateManyAttrsByPath [ { path = [ "a" "b" ]; update = n: n + 1; } ] { a.b = 1; a.c = 2; };
    recursive = lib.recursiveUpdate { a.b = 1; a.c = 2; } { a.b = 3; d = 4; };
    by-path = lib.setAttrByPath [ "a" "b" ] 1;
    unique = lib.unique [ 1 2 1 3 2 ];
  };
}
