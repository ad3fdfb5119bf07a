# Every error and every warning of the module, by its name: configurations with the mistake
# that it is for, and configurations beside them that are right.
arguments@{
  evaluate,
  lib,
  test,
  ...
}:

let
  cases = import ./cases.nix arguments;
  table = file: import file (arguments // { inherit cases; });
  rows = table ./roots.nix // table ./entries.nix // table ./state.nix // table ./warnings.nix;

  # What is said of a configuration, whether it ends the build or not.
  messages =
    modules:
    let
      inherit (evaluate modules) config;
    in
    map (a: a.message) (lib.filter (a: !a.assertion) config.assertions) ++ config.warnings;

  isOf = name: lib.hasPrefix "ebb: ${name}: ";

  trips =
    name: index: modules:
    let
      all = messages modules;
      its = lib.filter (isOf name) all;
    in
    {
      name = "${name} ${toString index} is complained about";
      ok = lib.length its == 1 && lib.all (lib.hasPrefix "ebb: ") all;
      detail = test.show all;
    };

  silent = name: index: modules: test.is "beside ${name} ${toString index} there is silence" [ ] (messages modules);

  # What the checks have, by their text: that no row is missing here.
  declared = lib.unique (
    lib.concatMap (
      file:
      map lib.last (
        lib.filter lib.isList (
          builtins.split "(name = |about )\"([a-z0-9-]+)\"" (builtins.readFile (../../checks + "/${file}"))
        )
      )
    ) (lib.attrNames (builtins.readDir ../../checks))
  );
in
[
  (test.is "a machine with nothing wrong" [ ] (messages (cases.add { })))
  (test.is "every check is tested" [ ] (lib.subtractLists (lib.attrNames rows) declared))
  (test.is "every check that is tested is there" [ ] (lib.subtractLists declared (lib.attrNames rows)))
]
++ lib.concatLists (
  lib.mapAttrsToList (
    name: row: lib.imap1 (trips name) row.trips ++ lib.imap1 (silent name) (row.silent or [ ])
  ) rows
)
