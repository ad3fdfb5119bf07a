# What the module writes beside the config: units, and what they are told.
{
  layouts,
  lib,
  parts,
  test,
  ...
}:

let
  inherit (test) is has contains;
  inherit (parts)
    minimal
    shellForAll
    unit
    entry
    ;
in
{
  "what would be lost is written down" = {
    modules = [
      layouts.btrfs
      minimal
      {
        ebb.diff.timer = true;
        ebb.diff.onShutdown = true;
      }
    ];
    expect = config: [
      (is "daily" [ "timers.target" ] config.systemd.units."ebb-diff.timer".wantedBy)
      (is "and at the end" [ "sysinit.target" ] config.systemd.units."ebb-diff-shutdown.service".wantedBy)
      (contains "by programs of the store" "/bin/ebb diff --save" (
        lib.concatMapStrings (package: package.text or "") (
          lib.filter (package: package.name == "ebb-diff.service") config.systemd.packages
        )
      ))
    ];
  };

  "nothing is written down" = {
    modules = [
      layouts.btrfs
      minimal
    ];
    expect = config: [
      (is "no such units" [ ] (
        lib.filter (lib.hasInfix "ebb-diff") (lib.attrNames config.systemd.units)
        ++ lib.filter (lib.hasInfix "ebb-diff") (map (package: package.name or "") config.systemd.packages)
      ))
    ];
  };

  "a switch brings in what is new" = {
    modules = [
      layouts.btrfs
      minimal
    ];
    expect = config: [
      (is "before services are restarted" [ "sysinit-reactivation.target" ]
        config.systemd.units."ebb-apply.service".wantedBy
      )
    ];
  };

  "nothing at a switch, and nothing written down" = {
    modules = [
      layouts.btrfs
      minimal
      { ebb.applyOnSwitch = false; }
    ];
    expect = config: [
      (is "no such units" [ ] (
        lib.filter (lib.hasInfix "ebb-diff") (lib.attrNames config.systemd.units)
        ++ lib.filter (lib.hasInfix "ebb-apply") (lib.attrNames config.systemd.units)
        ++ lib.filter (name: lib.hasInfix "ebb-apply" name || lib.hasInfix "ebb-diff" name) (
          map (package: package.name or "") config.systemd.packages
        )
      ))
    ];
  };

  "the drift of the clock" = {
    modules = [
      layouts.btrfs
      minimal
      { ebb.persist."/persist".files = [ "/etc/adjtime" ]; }
    ];
    expect = config: [
      (is "it is copied" "sync" (entry config "files" "/etc/adjtime").how)
      (contains "once more when hwclock has written it" "/bin/ebb sync /etc/adjtime" (
        lib.concatMapStrings (package: package.text or "") (
          lib.filter (package: package.name == "ebb.conf") config.systemd.packages
        )
      ))
    ];
  };

  "a failure that stops the boot" = {
    modules = [
      layouts.btrfs
      minimal
      shellForAll
      { ebb.root.onFailure = "emergency"; }
    ];
    expect = config: [
      (is "what follows a failure" "emergency" config.ebb.settings.root.on_failure)
      (contains "rollback ends in the shell" "OnFailure=emergency.target" (
        unit config "ebb-rollback.service"
      ))
      (contains "and in nothing else" "OnFailureJobMode=isolate" (unit config "ebb-rollback.service"))
      (contains "no old root turns up below it" "AssertPathExists=/run/ebb/root-ready" (
        unit config "sysroot.mount"
      ))
    ];
  };

  "an entry that the machine cannot do without" = {
    modules = [
      layouts.btrfs
      shellForAll
      minimal
      {
        ebb.persist."/persist".directories = [
          {
            path = "/var/lib/vault";
            required = true;
          }
        ];
      }
    ];
    expect = config: [
      (is "the config says so" true (entry config "directories" "/var/lib/vault").required)
      (has "a unit looks for it" "ebb-required.service" (lib.attrNames config.boot.initrd.systemd.units))
    ];
  };

  "kernel parameters, retention, and what to ignore" = {
    modules = [
      layouts.btrfs
      minimal
      {
        ebb.kernelParams = [ "ebb.log=debug" ];
        ebb.extraIgnore = [ "/home/*/.cache" ];
        ebb.orphans.ignore = [ "/persist/secrets" ];
        ebb.orphans.trashDays = 90;
        ebb.root.keep = {
          count = 3;
          days = 14;
          minFreePercent = 20;
        };
        ebb.adopt = {
          files = 10;
          copiedBytes = "5M";
        };
      }
    ];
    expect = config: [
      (has "kernel parameters" "ebb.log=debug" config.boot.kernelParams)
      (is "retention" {
        count = 3;
        days = 14;
        min_free_percent = 20;
      } config.ebb.settings.root.keep)
      (is "adoption" {
        files = 10;
        copied_bytes = "5M";
      } config.ebb.settings.adopt)
      (contains "what to ignore" "/home/*/.cache" config.environment.etc."ebb/ignore".text)
      (contains "orphans that are none" "/persist/secrets" config.environment.etc."ebb/orphans-ignore".text)
      (contains "the trash of the stores" "/bin/ebb prune --grace 90" (
        config.systemd.units."ebb-prune.service".text
      ))
      (contains "which may be written to" "ReadWritePaths=-/persist" (
        config.systemd.units."ebb-prune.service".text
      ))
    ];
  };
}
