# What the checks use of nixpkgs' lib, for where there is no nixpkgs. Where there is one, the same
# tests run with its own.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isList
    isString
    length
    listToAttrs
    map
    replaceStrings
    split
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
    filter
    foldl'
    genList
    groupBy
    head
    isList
    length
    listToAttrs
    replaceStrings
    stringLength
    ;

  max = a: b: if a > b then a else b;
  mkIf = condition: content: { inherit condition content; };
  versionOlder = a: b: builtins.compareVersions b a == 1;

  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  optionalString = condition: text: if condition then text else "";

  last = list: elemAt list (length list - 1);
  init = list: take (length list - 1) list;
  take = n: list: genList (elemAt list) (if n < length list then n else length list);
  toList = value: if isList value then value else [ value ];
  unique = foldl' (found: value: if elem value found then found else found ++ [ value ]) [ ];
  subtractLists = unwanted: filter (value: !(elem value unwanted));

  nameValuePair = name: value: { inherit name value; };
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  filterAttrs =
    keep: set: listToAttrs (map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set)));

  concatStrings = concatStringsSep "";
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      rest = stringLength text - stringLength suffix;
    in
    rest >= 0 && substring rest (stringLength suffix) text == suffix;
  hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text;
  removePrefix =
    prefix: text:
    if hasPrefix prefix text then substring (stringLength prefix) (stringLength text) text else text;
  removeSuffix =
    suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  # Only separators that are no operators of regular expressions are used.
  splitString = separator: text: filter isString (split separator text);
}
