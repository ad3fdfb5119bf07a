# Of each kind of machine, what is to come out, and that nothing is complained about; and that
# the whole of it is a system, which is what nixos-rebuild asks for. That takes longest.
{ whole }:
arguments@{ evaluate, lib, test, ... }:
lib.concatLists (
  lib.mapAttrsToList (
    name: machine:
    let
      inherit (evaluate machine.modules) config;
      toplevel = config.system.build.toplevel.drvPath;
    in
    test.under name (
      machine.expect config
      ++ [
        (test.is "no error" [ ] (
          map (a: a.message) (lib.filter (a: !a.assertion) config.assertions)
        ))
        (test.is "no warning" [ ] config.warnings)
      ]
      ++ lib.optional whole {
        name = "is a system";
        ok = lib.hasSuffix ".drv" toplevel;
        detail = "${toplevel} is no derivation";
      }
    )
  ) (import ./machines arguments)
)
