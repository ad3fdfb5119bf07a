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
  inherit (import ./etc.nix { inherit config; }) isImmutable;
in
{
  config = lib.mkMerge [
    { ebb.replacedFiles = lib.optional (!isImmutable) "/etc/machine-id"; }

    (lib.mkIf cfg.enable {
      ebb.defaultEntries = {
        files = lib.optional cfg.keepMachineId (
          # Where /etc is read-only, systemd writes the id straight into an
          # empty file, and has no first boot.
          { path = "/etc/machine-id"; } // lib.optionalAttrs isImmutable { mode = "0444"; }
        );
        directories = lib.optional cfg.keepNixosState "/var/lib/nixos";
      };
    })

    (lib.mkIf (cfg.enable && cfg.keepMachineId && !isImmutable) {
      # Without a unit that commits it no id is ever kept, and every boot is a
      # first boot. Releases before 24.11 do not have systemd's own, and many a
      # configuration switches it off, or turns it to another file, as other
      # modules need it. So here is one that runs where that one has not.
      systemd.services.ebb-machine-id = {
        description = "ebb: commit the id of the machine";
        documentation = [ "man:systemd-machine-id-commit.service(8)" ];
        wantedBy = [ "sysinit.target" ];
        after = [
          "local-fs.target"
          "first-boot-complete.target"
          "systemd-machine-id-commit.service"
        ];
        before = [ "shutdown.target" ];
        conflicts = [ "shutdown.target" ];
        unitConfig = {
          DefaultDependencies = false;
          ConditionPathIsReadWrite = "/etc";
          ConditionPathIsMountPoint = "/etc/machine-id";
        };
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "systemd-machine-id-setup --commit";
          TimeoutSec = "30s";
        };
        environment = import ./environment.nix { inherit lib; };
      };
    })

    (lib.mkIf (cfg.enable && cfg.keepMachineId && isImmutable) {
      # Something to mount on. Weaker than a default: newer releases make the
      # same file by default, and two texts would make one with a line between.
      environment.etc.machine-id = lib.mkOverride 1100 {
        text = "";
        mode = "0444";
      };
    })
  ];
}
