# Lists, strings and sets. Names and meanings are nixpkgs'.
let
  inherit (builtins)
    attrNames
    concatLists
    elemAt
    filter
    foldl'
    genList
    isAttrs
    isFunction
    isString
    length
    listToAttrs
    map
    stringLength
    substring
    ;
in
rec {
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    length
    listToAttrs
    mapAttrs
    removeAttrs
    replaceStrings
    sort
    stringLength
    substring
    tail
    ;

  # Functions may carry their argument names in a set, so that wrapping one does not hide what it wants.
  isFunction = f: builtins.isFunction f || (f ? __functor && isFunction (f.__functor f));
  functionArgs = f: if f ? __functor then f.__functionArgs or (functionArgs (f.__functor f)) else builtins.functionArgs f;
  setFunctionArgs = f: args: {
    __functor = _: f;
    __functionArgs = args;
  };

  id = x: x;
  const = x: _: x;
  flip =
    f: a: b:
    f b a;
  max = a: b: if a > b then a else b;
  min = a: b: if a < b then a else b;
  xor = a: b: a != b;

  last = list: elemAt list (length list - 1);
  init = list: genList (elemAt list) (length list - 1);
  imap0 = f: list: genList (index: f index (elemAt list index)) (length list);
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  unique = foldl' (seen: value: if builtins.elem value seen then seen else seen ++ [ value ]) [ ];
  flatten = value: if builtins.isList value then concatLists (map flatten value) else [ value ];
  foldr =
    f: end: list:
    let
      go = index: if index == length list then end else f (elemAt list index) (go (index + 1));
    in
    go 0;
  range = from: to: if from > to then [ ] else genList (index: from + index) (to - from + 1);

  optionalString = condition: text: if condition then text else "";
  concatStrings = builtins.concatStringsSep "";
  concatMapStrings = f: list: concatStrings (map f list);
  concatMapStringsSep =
    separator: f: list:
    builtins.concatStringsSep separator (map f list);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      rest = stringLength text - stringLength suffix;
    in
    rest >= 0 && substring rest (stringLength suffix) text == suffix;
  removePrefix = prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (stringLength text) text else text;
  removeSuffix = suffix: text: if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  splitString = separator: text: filter isString (builtins.split (escapeRegex separator) text);
  hasInfix = infix: text: length (splitString infix text) > 1;
  stringToCharacters = text: genList (index: substring index 1 text) (stringLength text);
  escape = characters: builtins.replaceStrings characters (map (character: "\\" + character) characters);
  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");
  escapeShellArg =
    value:
    let
      text = toString value;
    in
    if builtins.match "[[:alnum:],._+:@%/-]+" text != null then text else "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
  toLower = builtins.replaceStrings (stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
    stringToCharacters "abcdefghijklmnopqrstuvwxyz"
  );

  nameValuePair = name: value: { inherit name value; };
  optionalAttrs = condition: set: if condition then set else { };
  filterAttrs =
    keep: set:
    removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  setAttrByPath = path: value: foldr (name: inner: { ${name} = inner; }) value path;
  attrByPath =
    path: default: set:
    if path == [ ] then
      set
    else if isAttrs set && set ? ${builtins.head path} then
      attrByPath (builtins.tail path) default set.${builtins.head path}
    else
      default;
  recursiveUpdate =
    old: new:
    if isAttrs old && isAttrs new && !(isDerivation old) && !(isDerivation new) then
      old // builtins.mapAttrs (name: value: if old ? ${name} then recursiveUpdate old.${name} value else value) new
    else
      new;
  updateManyAttrsByPath =
    updates: set:
    let
      one =
        { path, update }:
        set:
        if path == [ ] then
          update set
        else
          set
          // {
            ${builtins.head path} = one {
              path = builtins.tail path;
              inherit update;
            } (set.${builtins.head path} or { });
          };
    in
    foldl' (result: update: one update result) set updates;

  isDerivation = value: isAttrs value && (value.type or null) == "derivation";
  isStringLike = value: isString value || builtins.isPath value || (isAttrs value && (value ? outPath || value ? __toString));
  getExe' = package: name: "${package}/bin/${name}";
}
