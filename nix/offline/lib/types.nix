# Types: { name, description, check, merge, typeMerge, nestedTypes, getSubOptions }.
{ lib }:

let
  inherit (builtins) attrNames isAttrs isList map;
  inherit (lib) showOption showDefinitions;

  type =
    given:
    let
      self = {
        description = given.name;
        check = _: true;
        merge = same;
        typeMerge = other: if other.name == self.name then self else null;
        nestedTypes = { };
        getSubOptions = _: { };
      }
      // given;
    in
    self;

  conflict = loc: definitions: throw "The option `${showOption loc}' has conflicting definition values:${showDefinitions definitions}";

  one = loc: definitions: if builtins.length definitions == 1 then (builtins.head definitions).value else throw "The option `${showOption loc}' is defined multiple times while it's expected to be unique.${showDefinitions definitions}";
  same =
    loc: definitions:
    let
      value = (builtins.head definitions).value;
    in
    if lib.all (definition: definition.value == value) (builtins.tail definitions) then value else conflict loc definitions;

  # One value of a list or a set, with every definition that speaks of it.
  element = elemType: loc: definitions: lib.mergeDefinitions loc elemType definitions;

  # Sets merge by name, lists join, the rest must agree.
  anythingMerge =
    loc: definitions:
    let
      values = map (definition: definition.value) definitions;
    in
    if lib.all (value: isAttrs value && !lib.isDerivation value) values then
      (attrsOf anything).merge loc definitions
    else if lib.all isList values then
      builtins.concatLists values
    else
      same loc definitions;

  anything = type {
    name = "anything";
    merge = anythingMerge;
  };

  attrsOf =
    elemType:
    type {
      name = "attrsOf";
      description = "attribute set of ${elemType.description}";
      check = isAttrs;
      merge =
        loc: definitions:
        builtins.mapAttrs (_: merged: merged.value) (
          lib.filterAttrs (_: merged: merged.isDefined) (
            builtins.mapAttrs (name: own: element elemType (loc ++ [ name ]) own) (
              builtins.zipAttrsWith (_: own: own) (
                map (
                  { file, value }:
                  builtins.mapAttrs (_: inner: {
                    inherit file;
                    value = inner;
                  }) value
                ) definitions
              )
            )
          )
        );
      nestedTypes.elemType = elemType;
      getSubOptions = loc: elemType.getSubOptions (loc ++ [ "<name>" ]);
      typeMerge =
        other:
        let
          merged = elemType.typeMerge other.nestedTypes.elemType;
        in
        if other.name == "attrsOf" && merged != null then attrsOf merged else null;
    };

  listOf =
    elemType:
    type {
      name = "listOf";
      description = "list of ${elemType.description}";
      check = isList;
      merge =
        loc: definitions:
        map (merged: merged.value) (
          builtins.filter (merged: merged.isDefined) (
            builtins.concatLists (
              lib.imap0 (
                outer:
                { file, value }:
                lib.imap0 (
                  index: inner:
                  element elemType (loc ++ [ "[definition ${toString (outer + 1)}-entry ${toString (index + 1)}]" ]) [
                    {
                      inherit file;
                      value = inner;
                    }
                  ]
                ) value
              ) definitions
            )
          )
        );
      nestedTypes.elemType = elemType;
      getSubOptions = loc: elemType.getSubOptions (loc ++ [ "*" ]);
      typeMerge =
        other:
        let
          merged = elemType.typeMerge other.nestedTypes.elemType;
        in
        if other.name == "listOf" && merged != null then listOf merged else null;
    };

  either =
    left: right:
    type {
      name = "either";
      description = "${left.description} or ${right.description}";
      check = value: left.check value || right.check value;
      merge =
        loc: definitions:
        if lib.all (definition: left.check definition.value) definitions then
          left.merge loc definitions
        else if lib.all (definition: right.check definition.value) definitions then
          right.merge loc definitions
        else
          conflict loc definitions;
      nestedTypes = {
        inherit left right;
      };
      getSubOptions = loc: left.getSubOptions loc // right.getSubOptions loc;
      typeMerge =
        other:
        let
          first = left.typeMerge other.nestedTypes.left;
          second = right.typeMerge other.nestedTypes.right;
        in
        if other.name == "either" && first != null && second != null then either first second else null;
    };

  submoduleOf =
    modules:
    let
      evaluate =
        loc: extra:
        lib.evalModules {
          modules = modules ++ extra;
          prefix = loc;
          specialArgs.name = if loc == [ ] then "" else lib.last loc;
        };
      # A set is all configuration, so an option of the name `config` means what it says.
      asModule =
        { file, value }:
        if isAttrs value && !lib.isFunction value then
          {
            _file = file;
            config = value;
          }
        else
          value;
    in
    type {
      name = "submodule";
      check = value: isAttrs value || lib.isFunction value || builtins.isPath value;
      merge = loc: definitions: (evaluate loc (map asModule definitions)).config;
      getSubOptions = loc: (evaluate loc [ ]).options;
      nestedTypes = { };
      submodules = modules;
      typeMerge = other: if other.name == "submodule" then submoduleOf (modules ++ other.submodules) else null;
    };

  number = check: description: name: type { inherit check description name; };
in
rec {
  inherit anything attrsOf listOf either;
  mkOptionType = type;
  addCheck = base: check: base // { check = value: base.check value && check value; };

  unspecified = type { name = "unspecified"; merge = anythingMerge; };
  raw = type { name = "raw"; description = "raw value"; merge = one; };
  bool = type { name = "bool"; description = "boolean"; check = builtins.isBool; };
  int = number builtins.isInt "signed integer" "int";
  float = number builtins.isFloat "floating point number" "float";
  str = type { name = "str"; description = "string"; check = builtins.isString; };
  strMatching =
    pattern:
    type {
      name = "strMatching ${builtins.toJSON pattern}";
      description = "string matching the pattern ${pattern}";
      check = value: builtins.isString value && builtins.match pattern value != null;
    };
  separatedString =
    separator:
    type {
      name = "separatedString";
      description = if separator == "\n" then "strings concatenated with \"\\n\"" else "strings concatenated with ${builtins.toJSON separator}";
      check = builtins.isString;
      merge = _: definitions: builtins.concatStringsSep separator (map (definition: definition.value) definitions);
    };
  lines = separatedString "\n";
  commas = separatedString ",";
  path = type {
    name = "path";
    description = "absolute path";
    check = value: lib.isStringLike value && lib.hasPrefix "/" (toString value);
  };
  package = type {
    name = "package";
    check = value: lib.isDerivation value || (builtins.isString value && lib.hasPrefix builtins.storeDir value);
    merge = one;
  };
  attrs = type {
    name = "attrs";
    description = "attribute set";
    check = isAttrs;
    merge = _: definitions: builtins.foldl' (set: definition: set // definition.value) { } definitions;
  };
  enum =
    values:
    type {
      name = "enum";
      description = "one of ${lib.concatMapStringsSep ", " builtins.toJSON values}";
      check = value: builtins.elem value values;
      typeMerge = other: if other.name == "enum" then enum (lib.unique (values ++ other.values)) else null;
      inherit values;
    };
  ints = {
    unsigned = number (value: builtins.isInt value && value >= 0) "unsigned integer, meaning >=0" "unsignedInt";
    positive = number (value: builtins.isInt value && value > 0) "positive integer, meaning >0" "positiveInt";
    between =
      low: high:
      number (
        value: builtins.isInt value && low <= value && value <= high
      ) "integer between ${toString low} and ${toString high} (both inclusive)" "intBetween";
  };
  port = ints.between 0 65535 // { description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)"; };
  lazyAttrsOf = attrsOf;
  nonEmptyListOf = elemType: addCheck (listOf elemType) (list: list != [ ]) // { description = "non-empty list of ${elemType.description}"; };
  oneOf = types: builtins.foldl' either (builtins.head types) (builtins.tail types);

  nullOr =
    elemType:
    type {
      name = "nullOr";
      description = "null or ${elemType.description}";
      check = value: value == null || elemType.check value;
      merge =
        loc: definitions:
        let
          nulls = builtins.filter (definition: definition.value == null) definitions;
        in
        if nulls == [ ] then
          elemType.merge loc definitions
        else if builtins.length nulls == builtins.length definitions then
          null
        else
          throw "The option `${showOption loc}' is defined both null and not null, in ${
            lib.concatMapStringsSep " and " (definition: "`${toString definition.file}'") definitions
          }.";
      nestedTypes.elemType = elemType;
      inherit (elemType) getSubOptions;
      typeMerge =
        other:
        let
          merged = elemType.typeMerge other.nestedTypes.elemType;
        in
        if other.name == "nullOr" && merged != null then nullOr merged else null;
    };

  coercedTo =
    from: convert: to:
    type {
      name = "coercedTo";
      description = "${to.description} or ${from.description} convertible to it";
      check = value: (from.check value && to.check (convert value)) || to.check value;
      merge =
        loc: definitions:
        to.merge loc (
          map (definition: definition // { value = if from.check definition.value then convert definition.value else definition.value; }) definitions
        );
      nestedTypes = {
        coercedType = from;
        finalType = to;
      };
      inherit (to) getSubOptions;
      typeMerge = _: null;
    };

  submodule = modules: submoduleOf (if isList modules then modules else [ modules ]);
}
