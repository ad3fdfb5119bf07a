# With ebb.presets.auto and every service enabled that the catalog has an option for: all of
# them together are no mistake.
arguments@{ lib, test, ... }:
let
  catalog = (builtins.fromJSON (builtins.readFile ../../../catalog/catalog.json)).entries;
  evaluate =
    modules:
    arguments.evaluate (
      modules
      ++ [
        ../../default.nix
        {
          ebb.enable = true;
          ebb.presets.auto = true;
        }
      ]
    );
  inherit (import ./everything.nix (arguments // { inherit catalog evaluate; })) config;
  paths = map (entry: entry.path) config.ebb.entries;
in
[
  (test.is "no error" [ ] (
    lib.filter (lib.hasPrefix "ebb") (map (it: it.message) (lib.filter (it: !it.assertion) config.assertions))
  ))
  (test.is "no warning" [ ] (lib.filter (lib.hasPrefix "ebb") config.warnings))
  (test.is "no path twice" paths (lib.unique paths))
  {
    name = "they are many";
    ok = lib.length config.ebb.presets.report > 100;
    detail = toString (lib.length config.ebb.presets.report);
  }
]
