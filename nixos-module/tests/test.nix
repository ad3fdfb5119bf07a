# How a test says what it has found.
{ lib }:
rec {
  # name: what is; wanted: what it is to be.
  is = name: wanted: got: {
    inherit name;
    ok = wanted == got;
    detail = "wanted ${show wanted}, got ${show got}";
  };

  has = name: wanted: list: {
    inherit name;
    ok = lib.elem wanted list;
    detail = "no ${show wanted} in ${show list}";
  };

  hasNot = name: unwanted: list: {
    inherit name;
    ok = !(lib.elem unwanted list);
    detail = "${show unwanted} is in ${show list}";
  };

  contains = name: wanted: text: {
    inherit name;
    ok = lib.hasInfix wanted text;
    detail = "no ${show wanted} in ${show text}";
  };

  # Values that have no text are none of a test's business.
  show = value: lib.generators.toPretty { multiline = false; } value;

  # A result as the runner reads it. An error in a test that cannot be caught names it.
  flatten =
    result:
    let
      during = builtins.addErrorContext "in the test ${result.name}";
    in
    [
      {
        inherit (result) name;
        ok = during result.ok;
        detail = if during result.ok then "" else result.detail or (show (removeAttrs result [ "name" "ok" ]));
      }
    ];

  under = prefix: map (result: result // { name = "${prefix}: ${result.name}"; });
}
