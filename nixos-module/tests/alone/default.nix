# Every error and every warning of the module, tripped without nixpkgs: the checks are functions of
# a configuration, and here is one by hand. Whether NixOS would evaluate to that, ../complaints knows.
{
  # That of nixpkgs, to see that the one here says the same.
  lib ? import ./lib.nix,
}:
let
  machine = import ./machine.nix { inherit lib; };
  mistakes = import ./mistakes.nix { inherit lib; };
  right = import ./right.nix;

  messages =
    overrides:
    let
      inherit ((import ../../checks (machine overrides)).config.content) assertions warnings;
    in
    map (a: a.message) (lib.filter (a: !a.assertion) assertions) ++ warnings;

  result = name: ok: detail: {
    inherit name ok;
    detail = if ok then "" else builtins.toJSON detail;
  };

  trips =
    name: overrides:
    let
      all = messages overrides;
    in
    result name (lib.length (lib.filter (lib.hasPrefix "ebb: ${name}: ") all) == 1) all;

  silent =
    name: overrides:
    let
      all = messages overrides;
    in
    result "beside ${name} there is silence" (all == [ ]) all;

  declared = lib.unique (
    lib.concatMap (
      file:
      map lib.last (
        lib.filter builtins.isList (
          builtins.split "(name = |about )\"([a-z0-9-]+)\"" (builtins.readFile (../../checks + "/${file}"))
        )
      )
    ) (lib.attrNames (builtins.readDir ../../checks))
  );
  missing = lib.subtractLists (lib.attrNames mistakes) declared;
in
[
  (result "a machine with nothing wrong" (messages { } == [ ]) (messages { }))
  (result "every check has a mistake" (missing == [ ] && lib.length declared > 40) missing)
]
++ lib.concatLists (lib.mapAttrsToList (name: map (trips name)) mistakes)
++ lib.concatLists (lib.mapAttrsToList (name: map (silent name)) right)
