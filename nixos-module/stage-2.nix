# The running system: the command, the config, and the units that copy "sync"
# files back, delete old roots, and say whether all is well.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.ebb;

  unit =
    name:
    pkgs.writeTextDir "lib/systemd/system/${name}" (
      lib.replaceStrings [ "/bin/ebb" ] [ "${cfg.package}/bin/ebb" ] (
        lib.readFile (../units + "/${name}")
      )
    );

  environment = import ./environment.nix { inherit lib; };

  # At shutdown hwclock(8) writes a new /etc/adjtime at the same time as
  # ebb-sync.service copies for the last time: a unit that starts cannot be
  # ordered before one that stops (systemd.unit(5), "Before="). A drop-in of a
  # package does nothing on a release that has no such unit.
  syncsAdjtime = lib.any (entry: entry.path == "/etc/adjtime" && entry.how == "sync") cfg.entries;
  afterHwclock = pkgs.writeTextDir "lib/systemd/system/save-hwclock.service.d/ebb.conf" ''
    [Service]
    ExecStartPost=-${cfg.package}/bin/ebb sync /etc/adjtime
  '';

  # A system that was booted without ebb has nothing in place yet.
  bootedWithEbb.unitConfig.ConditionPathExists = [
    "|!/run/booted-system"
    "|/run/booted-system/sw/bin/ebb"
  ];

  # Stores have a trash, whatever the kind of the root.
  prunes = cfg.root.prune;
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    environment.etc = {
      "ebb/config.json".source = cfg.configFile;
      "ebb/orphans-ignore" = lib.mkIf (cfg.orphans.ignore != [ ]) {
        text = lib.concatLines cfg.orphans.ignore;
      };
      "ebb/ignore" = lib.mkIf (cfg.extraIgnore != [ ]) {
        text = lib.concatLines cfg.extraIgnore;
      };
    };

    # It is told where somebody is there to read it; "systemctl --failed" has it, too.
    environment.loginShellInit = ''
      if [ -t 2 ] && ${config.systemd.package}/bin/systemctl --quiet is-failed ebb-status.service 2>/dev/null; then
        echo 'ebb: something is wrong with this boot; "ebb status" says what' >&2
      fi
    '';

    systemd.packages =
      map unit [
        "ebb-sync.service"
        "ebb-status.service"
      ]
      ++ lib.optional syncsAdjtime afterHwclock
      ++ lib.optional cfg.applyOnSwitch (unit "ebb-apply.service")
      ++ lib.optionals cfg.diff.timer (
        map unit [
          "ebb-diff.service"
          "ebb-diff.timer"
        ]
      )
      ++ lib.optional cfg.diff.onShutdown (unit "ebb-diff-shutdown.service")
      ++ lib.optionals prunes (
        map unit [
          "ebb-prune.service"
          "ebb-prune.timer"
        ]
      );

    systemd.timers.ebb-prune = lib.mkIf prunes {
      overrideStrategy = "asDropin";
      wantedBy = [ "timers.target" ];
    };

    systemd.timers.ebb-diff = lib.mkIf cfg.diff.timer {
      overrideStrategy = "asDropin";
      wantedBy = [ "timers.target" ];
    };

    systemd.services = {
      ebb-apply = lib.mkIf cfg.applyOnSwitch {
        inherit environment;
        inherit (bootedWithEbb) unitConfig;
        overrideStrategy = "asDropin";
        wantedBy = [ "sysinit-reactivation.target" ];
        after = [ "userborn.service" ];
      };
      ebb-diff = lib.mkIf cfg.diff.timer {
        inherit environment;
        overrideStrategy = "asDropin";
        restartIfChanged = false;
      };
      ebb-diff-shutdown = lib.mkIf cfg.diff.onShutdown {
        inherit environment;
        overrideStrategy = "asDropin";
        wantedBy = [ "sysinit.target" ];
        # To stop it is what it does.
        restartIfChanged = false;
      };
      ebb-sync = {
        inherit environment;
        overrideStrategy = "asDropin";
        wantedBy = [ "sysinit.target" ];
        # what makes users, with systemd.sysusers, or with services.userborn
        after = [
          "systemd-sysusers.service"
          "userborn.service"
        ];
        restartTriggers = [ cfg.configFile ];
      };
      ebb-prune = lib.mkIf prunes {
        inherit environment;
        overrideStrategy = "asDropin";
        # A switch does not wait for it.
        restartIfChanged = false;
        # For the trash of each store; all else is read-only to it.
        # Not those of the settings, which presets look at services for.
        serviceConfig.ReadWritePaths = map (store: "-${store}") (
          lib.unique (lib.attrNames cfg.persist ++ [ cfg.mainStore ])
        );
        serviceConfig.ExecStart = lib.mkIf (cfg.orphans.trashDays != 30) [
          ""
          "${cfg.package}/bin/ebb prune --grace ${toString cfg.orphans.trashDays}"
        ];
      };
      ebb-status = {
        inherit environment;
        overrideStrategy = "asDropin";
        wantedBy = [ "multi-user.target" ];
        # It is about the boot, whatever a switch brings into place.
        restartIfChanged = false;
        inherit (bootedWithEbb) unitConfig;
      };
    };
  };
}
