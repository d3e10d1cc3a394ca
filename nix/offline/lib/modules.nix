# evalModules: modules in, `config` and `options` out.
{ lib }:

let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    filter
    isAttrs
    isPath
    isString
    map
    ;
  inherit (lib) isOption showOption showDefinitions;

  tag = value: if isAttrs value then value._type or null else null;

  # Keys that make a set a module with `config` and `options` of its own; any other set is all configuration.
  structure = [
    "_class"
    "_file"
    "config"
    "disabledModules"
    "freeformType"
    "imports"
    "key"
    "meta"
    "options"
  ];

  # One module in any of its forms -> { key, file, imports, disabled, options, config, freeformType }.
  normalise =
    { args, fallback }:
    given:
    let
      fromFile = isPath given || isString given;
      loaded = if fromFile then import given else given;
      isCall = lib.isFunction loaded;
      # Only what a module names is handed over, and only when it looks: `config` is not known yet.
      body = if isCall then loaded (builtins.intersectAttrs (lib.functionArgs loaded) args // passAll loaded args) else loaded;
      file = body._file or (if fromFile then toString given else fallback);
      structured = body ? config || body ? options;
      known = if structured then removeAttrs body structure else { };
    in
    if known != { } then
      throw "Module `${file}' has an unsupported attribute `${builtins.head (attrNames known)}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them into the explicit `config' attribute."
    else
      {
        inherit file;
        key = body.key or (if fromFile then toString given else null);
        imports = body.imports or [ ];
        disabled = body.disabledModules or [ ];
        options = body.options or { };
        config = if structured then body.config or { } else removeAttrs body structure;
        freeformType = body.freeformType or null;
      };

  # A plain `args: …` names nothing and so gets everything.
  passAll = f: args: if lib.functionArgs f == { } then args else { };

  # Breadth first, each key once; a disabled module takes along what only it imports.
  collect =
    { args, modulesPath, fallback }:
    given:
    let
      walk =
        path: fallback: index: module:
        let
          entry = normalise { inherit args fallback; } module;
          key = if entry.key != null then entry.key else "${path}:anonymous-${toString index}";
        in
        entry
        // {
          inherit key;
          children = lib.imap0 (walk key "${entry.file}") entry.imports;
        };
      start = lib.imap0 (walk fallback fallback) given;
      closure =
        keep:
        builtins.genericClosure {
          startSet = filter keep start;
          operator = entry: filter keep entry.children;
        };
      nameOf =
        disabled:
        if isAttrs disabled then
          disabled.key
        else if isPath disabled || lib.hasPrefix "/" disabled then
          toString disabled
        else
          "${toString modulesPath}/${disabled}";
      disabled = map nameOf (concatMap (entry: entry.disabled) (closure (_: true)));
    in
    closure (entry: !builtins.elem entry.key disabled);

  # mkIf and the like around a set move down to each of its attributes, so that names are known before conditions are.
  pushDown =
    value:
    if tag value == "merge" then
      concatMap pushDown value.contents
    else if tag value == "if" then
      map (builtins.mapAttrs (_: lib.mkIf value.condition)) (pushDown value.content)
    else if tag value == "override" then
      map (builtins.mapAttrs (_: lib.mkOverride value.priority)) (pushDown value.content)
    else
      [ value ];

  # Conditions are decided here: a definition becomes those that hold.
  discharge =
    { file, value }:
    if tag value == "merge" then
      concatMap (inner: discharge { inherit file; value = inner; }) value.contents
    else if tag value == "if" then
      if !builtins.isBool value.condition then
        throw "mkIf called with a non-Boolean condition in `${toString file}'"
      else if value.condition then
        discharge {
          inherit file;
          value = value.content;
        }
      else
        [ ]
    else
      [ { inherit file value; } ];

  strongest =
    definitions:
    let
      priorityOf = definition: if tag definition.value == "override" then definition.value.priority else 100;
      least = builtins.foldl' (least: definition: lib.min least (priorityOf definition)) 9999 definitions;
      strip = definition: if tag definition.value == "override" then definition // { value = definition.value.content; } else definition;
    in
    map strip (filter (definition: priorityOf definition == least) definitions);

  inOrder =
    definitions:
    let
      orderOf = definition: if tag definition.value == "order" then definition.value.priority else 1000;
      strip = definition: if tag definition.value == "order" then definition // { value = definition.value.content; } else definition;
    in
    map strip (builtins.sort (a: b: orderOf a < orderOf b) definitions);

  mergeDefinitions =
    loc: type: given:
    let
      definitions = inOrder (strongest (concatMap discharge given));
      wrong = filter (definition: !type.check definition.value) definitions;
    in
    {
      isDefined = definitions != [ ];
      inherit definitions;
      value =
        if definitions == [ ] then
          throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option."
        else if wrong != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefinitions wrong}"
        else
          type.merge loc definitions;
    };

  # Several declarations of one option: sub-options add up where the types allow it, everything else may be said once.
  mergeDeclarations =
    loc: declarations:
    let
      add =
        result: declaration:
        let
          twice = filter (name: result ? ${name}) (filter (name: declaration ? ${name}) [ "default" "apply" ]);
          merged = result.type.typeMerge declaration.type;
        in
        if twice != [ ] || (result ? type && declaration ? type && merged == null) then
          throw "The option `${showOption loc}' is already declared; a second declaration cannot change its ${if twice != [ ] then builtins.head twice else "type"}."
        else
          result // declaration // lib.optionalAttrs (result ? type && declaration ? type) { type = merged; };
    in
    builtins.foldl' add (builtins.head declarations) (builtins.tail declarations);

  evalOption =
    loc: declarations: definitions:
    let
      option = mergeDeclarations loc declarations;
      type = option.type or lib.types.unspecified;
      byDefault = lib.optional (option ? default) {
        file = "the option's default";
        value = lib.mkOptionDefault option.default;
      };
      merged = mergeDefinitions loc type (definitions ++ byDefault);
      value = if option ? apply then option.apply merged.value else merged.value;
    in
    option
    // {
      inherit loc type value;
      inherit (merged) isDefined definitions;
      __toString = _: showOption loc;
    };

  # One level of names: those declared here become values, nested sets go one deeper, the rest is `unmatched`.
  evalLevel =
    loc: declarations: definitions:
    let
      # [{ file, options }] and [{ file, value }] by name
      declared = builtins.zipAttrsWith (_: entries: entries) (
        map (entry: builtins.mapAttrs (_: value: { inherit (entry) file; inherit value; }) entry.options) declarations
      );
      pushed = concatMap (entry: map (value: { inherit (entry) file; inherit value; }) (pushDown entry.value)) definitions;
      notSets = filter (entry: !isAttrs entry.value) pushed;
      defined =
        if notSets != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `attribute set'. Definition values:${showDefinitions notSets}"
        else
          builtins.zipAttrsWith (_: entries: entries) (
            map (entry: builtins.mapAttrs (_: value: { inherit (entry) file; inherit value; }) entry.value) pushed
          );
      results = builtins.mapAttrs (
        name: entries:
        let
          here = loc ++ [ name ];
          own = defined.${name} or [ ];
          opts = filter (entry: isOption entry.value) entries;
        in
        if opts != [ ] then
          if builtins.length opts != builtins.length entries then
            throw "The option `${showOption here}' is declared as an option and as a set of options."
          else
            let
              option = evalOption here (map (entry: entry.value) opts) own;
            in
            {
              options = option;
              config = option.value;
              unmatched = [ ];
            }
        else
          evalLevel here (map (entry: { inherit (entry) file; options = entry.value; }) entries) own
      ) declared;
    in
    {
      options = builtins.mapAttrs (_: result: result.options) results;
      config = builtins.mapAttrs (_: result: result.config) results;
      unmatched =
        concatMap (result: result.unmatched) (builtins.attrValues results)
        ++ concatLists (
          lib.mapAttrsToList (name: entries: map (entry: entry // { path = loc ++ [ name ]; }) entries) (removeAttrs defined (attrNames declared))
        );
    };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      args = {
        inherit lib config options;
      }
      // specialArgs;
      entries = collect {
        inherit args;
        modulesPath = specialArgs.modulesPath or "/nowhere";
        fallback = if prefix == [ ] then "<unknown-file>" else showOption prefix;
      } modules;
      # Last collected, first merged: what is imported comes before what imports it.
      level = evalLevel prefix (filter (entry: entry.options != { }) entries) (
        map (entry: {
          inherit (entry) file;
          value = entry.config;
        }) (lib.reverseList entries)
      );
      freeform = filter (type: type != null) (map (entry: entry.freeformType) entries);
      depth = builtins.length prefix;
      drop = count: list: if count == 0 then list else drop (count - 1) (builtins.tail list);
      rest =
        (mergeDefinitions prefix (builtins.head freeform) (
          map (entry: {
            inherit (entry) file;
            value = lib.setAttrByPath (drop depth entry.path) entry.value;
          }) level.unmatched
        )).value;
      config =
        if freeform != [ ] then
          if level.unmatched == [ ] then level.config else lib.recursiveUpdate rest level.config
        else if level.unmatched != [ ] then
          throw "The option `${showOption (builtins.head level.unmatched).path}' does not exist. Definition values:${
            showDefinitions (concatMap discharge (map (entry: { inherit (entry) file value; }) [ (builtins.head level.unmatched) ]))
          }"
        else
          level.config;
      options = level.options;
    in
    {
      inherit config options;
    };
in
{
  inherit evalModules mergeDefinitions;
  # In nixpkgs its name is reverseList.
  reverseList = list: builtins.genList (index: builtins.elemAt list (builtins.length list - 1 - index)) (builtins.length list);
}
