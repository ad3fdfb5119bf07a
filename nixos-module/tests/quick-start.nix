# The configuration that the README begins with, on the disk that it asks for.
{
  evaluate,
  layouts,
  lib,
  quickStart,
  test,
  ...
}:
let
  inherit
    (evaluate [
      layouts.btrfs
      quickStart
      # Everybody has said this already.
      { users.users.gabriel.isNormalUser = true; }
    ])
    config
    ;
  entries = config.ebb.settings.stores."/persist";
  paths = map (entry: entry.path) (entries.directories ++ entries.files);
  toplevel = config.system.build.toplevel.drvPath;
in
[
  {
    name = "is a system";
    ok = lib.hasSuffix ".drv" toplevel;
    detail = toplevel;
  }
  (test.is "no warning" [ ] config.warnings)
  (test.is "the root is fresh at each boot" "btrfs" config.ebb.settings.root.kind)
  (test.has "the journal is kept" "/var/log" paths)
  (test.has "the identity of the machine is kept" "/etc/machine-id" paths)
  (test.has "the numbers of users are kept" "/var/lib/nixos" paths)
  (test.has "so are keys" "/home/gabriel/.ssh" paths)
  (test.has "and what the services that are enabled need" "/var/lib/bluetooth" paths)
]
