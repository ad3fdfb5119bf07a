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
      # Releases before 24.11 do not have the unit: without it no id is ever
      # committed, and every boot is a first boot. Where there is one, this is
      # a drop-in for it that says the same again.
      systemd.services.systemd-machine-id-commit = {
        description = "Commit a transient machine-id on disk";
        documentation = [ "man:systemd-machine-id-commit.service(8)" ];
        wantedBy = [ "sysinit.target" ];
        after = [
          "local-fs.target"
          "first-boot-complete.target"
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
          ExecStart = [
            ""
            "systemd-machine-id-setup --commit"
          ];
          TimeoutSec = "30s";
        };
        environment = import ./environment.nix { inherit lib; };
      };
    })

    (lib.mkIf (cfg.enable && cfg.keepMachineId && isImmutable) {
      # something to mount on
      environment.etc.machine-id = lib.mkDefault {
        text = "";
        mode = "0444";
      };
    })
  ];
}
