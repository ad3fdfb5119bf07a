# What NixOS itself has to keep: the id of the machine, and the numbers of its
# users and groups.
#
# /etc/machine-id is a "sync" file, so that systemd sees what machine-id(5)
# describes. On a first boot there is none: systemd writes "uninitialized",
# mounts a file in /run over it, knows that it is a first boot, and commits the
# id (systemd-machine-id-commit.service), which is then copied into the store.
# Later boots start with a regular file that nothing is mounted on, so that
# there is nothing to commit. A bind mount would make that service fail, and
# behind a symbolic link the id is never committed, or cannot be made at all.
{
  config,
  lib,
  ...
}:

let
  cfg = config.ebb;
  overlay = config.system.etc.overlay or { enable = false; };
  immutableEtc = overlay.enable && !overlay.mutable;
in
{
  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        ebb.defaultEntries = {
          files = lib.optional cfg.keepMachineId (
            # Where /etc is read-only, systemd writes the id straight into an
            # empty file, and has no first boot.
            { path = "/etc/machine-id"; } // lib.optionalAttrs immutableEtc { how = "bind"; mode = "0444"; }
          );
          directories = lib.optional cfg.keepNixosState "/var/lib/nixos";
        };
      }
      (lib.mkIf (immutableEtc && cfg.keepMachineId) {
        # something to mount on
        environment.etc.machine-id = lib.mkDefault {
          text = "";
          mode = "0444";
        };
      })
    ]
  );
}
