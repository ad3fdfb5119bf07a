# Modes as other modules take them, in octal: those of chmod(1), which also knows
# "u=rwx,g=rx,o=", and those of tmpfiles.d(5), which knows "~0755" and "-".
{ lib }:

let
  inherit (builtins) bitAnd bitOr bitXor;

  all = 4095; # 07777
  minus = bits: these: bitAnd bits (bitXor all these);

  # Where a permission stands for each of user, group and others.
  places = {
    u = 64;
    g = 8;
    o = 1;
  };
  values = {
    r = 4;
    w = 2;
    x = 1;
  };
  # What mkdir(1) starts from, and what it leaves out where nobody is named.
  start = 493; # 0755
  umask = 18; # 0022

  sum = lib.foldl' bitOr 0;

  # "rx" for the user and the group
  bitsOf =
    before: whom: permissions:
    sum (
      map (
        permission:
        if permission == "t" then
          512
        else if permission == "s" then
          sum (map (who: { u = 2048; g = 1024; o = 0; }.${who}) whom)
        else
          let
            value =
              if places ? ${permission} then
                bitAnd 7 (before / places.${permission}) # "g=u"
              else
                values.${lib.toLower permission}; # X is x for a directory
          in
          sum (map (who: value * places.${who}) whom)
      ) (lib.stringToCharacters permissions)
    );

  # All bits that "=" sets anew.
  fieldOf = whom: sum (map (who: 7 * places.${who} + { u = 2048; g = 1024; o = 0; }.${who}) whom);

  # One of "=rwx", "+x", "-w".
  act =
    whom: mask: before: text:
    let
      operator = lib.substring 0 1 text;
      bits = minus (bitsOf before whom (lib.substring 1 (-1) text)) mask;
    in
    if operator == "+" then
      bitOr before bits
    else if operator == "-" then
      minus before bits
    else
      bitOr (minus before (fieldOf whom)) bits;

  # One of what commas part: "ug=rwx", "o+x-w"; null where it makes no sense.
  clause =
    before: text:
    let
      parts = builtins.match "([ugoa]*)(([-+=]([rwxXst]*|[ugo]))+)" text;
      named = lib.unique (lib.stringToCharacters (lib.head parts));
      whom = if named == [ ] || lib.elem "a" named then lib.attrNames places else named;
      actions = lib.concatMap lib.id (
        lib.filter lib.isList (builtins.split "([-+=][rwxXstugo]*)" (lib.elemAt parts 1))
      );
    in
    if before == null || parts == null then
      null
    else
      lib.foldl' (act whom (if named == [ ] then umask else 0)) before actions;

  digits =
    bits:
    lib.concatMapStrings (place: toString (bitAnd 7 (bits / place))) [
      512
      64
      8
      1
    ];

  octal =
    text:
    let
      number = builtins.match "0*([0-7]{0,4})" text;
    in
    if number != null then
      lib.fixedWidthString 4 "0" (lib.head number)
    else
      let
        bits = lib.foldl' clause start (lib.splitString "," text);
      in
      if bits == null then null else digits bits;
in
{
  # toOctal "for messages" "u=rwx,g=rx,o=" is "0750"; null stays null, and so does
  # what leaves it open.
  toOctal =
    from: mode:
    let
      text = if mode == null then "-" else lib.head (builtins.match "[~:]*(.*)" mode);
      result = octal text;
    in
    if text == "-" || text == "" then
      null
    else if result == null then
      throw "ebb: compat: ${from}: ${builtins.toJSON mode} is not a mode. Write an octal one, \"0750\" say."
    else
      result;
}
