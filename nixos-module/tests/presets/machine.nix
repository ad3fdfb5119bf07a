# A machine with presets, and what a test asks about it.
{
  evaluate,
  layouts,
  lib,
  ...
}:
modules:
let
  inherit
    (evaluate (
      [
        ../../default.nix
        ../../presets.nix
        {
          ebb.enable = true;
          ebb.presets.auto = lib.mkDefault true;
        }
      ]
      ++ modules
    ))
    config
    ;
  stores = config.ebb.settings.stores;
  entriesOf = store: stores.${store}.directories or [ ] ++ stores.${store}.files or [ ];
  entries = lib.concatMap entriesOf (lib.attrNames stores);
in
{
  inherit config entriesOf;

  paths = map (entry: entry.path) entries;

  # The entry at a path, null when there is none.
  at = path: lib.findFirst (entry: entry.path == path) null entries;

  # What the report, and the list of what was skipped, say of a path.
  reported = path: lib.findFirst (it: it.path == path) null config.ebb.presets.report;
  skipped = path: lib.findFirst (it: it.path == path) null config.ebb.presets.skipped;

  errors = map (it: it.message) (lib.filter (it: !it.assertion) config.assertions);
}
