# The kinds of machines that the module is for: of each, what has to come out. `laptop`, which
# is an example for people, has a file of its own.
{
  layouts,
  lib,
  nixpkgs,
  pkgs,
  test,
  ...
}:

let
  inherit (test) is has hasNot contains;

  gabriel.users.users.gabriel = {
    isNormalUser = true;
    uid = 1000;
    hashedPassword = "$y$j9T$salt$hash";
  };

  # The least that a person has to say.
  minimal = {
    imports = [
      ../.
      gabriel
    ];
    services.colord.enable = true;
    ebb.enable = true;
    ebb.persist."/persist" = {
      directories = [
        "/var/log"
        "/var/lib/bluetooth"
        {
          path = "/var/lib/colord";
          user = "colord";
          group = "colord";
          mode = "0700";
        }
      ];
      files = [ "/etc/machine-id" ];
      users.gabriel = {
        directories = [
          ".ssh"
          ".mozilla"
          ".local/state/nvim"
        ];
        files = [ ".bash_history" ];
      };
    };
  };
  # On a root in memory, builds have to go elsewhere.
  buildsOnDisk.systemd.services.nix-daemon.environment.TMPDIR = "/nix/tmp";
  shellForAll.boot.initrd.systemd.emergencyAccess = true;

  readOnlyEtc = {
    boot.kernelPackages = pkgs.linuxPackages_latest;
    system.etc.overlay.enable = true;
    system.etc.overlay.mutable = false;
    users.mutableUsers = false;
    users.users.root.initialHashedPassword = "$y$j9T$salt$hash";
  };
  machineIdIsMounted = config: [
    (is "the machine-id is mounted" { path = "/etc/machine-id"; } (
      entry config "files" "/etc/machine-id"
    ))
    (is "on an empty file" "" config.environment.etc.machine-id.text)
  ];

  unit = config: name: config.boot.initrd.systemd.units.${name}.text;
  store = config: config.ebb.settings.stores."/persist";
  pathsOf = entries: map (entry: entry.path) entries;
  entry =
    config: kind: path:
    lib.findFirst (entry: entry.path == path) { } (store config).${kind};

  deviceIs = device: config: [
    (is "the device is that of the root" device config.ebb.settings.root.device)
    (contains "rollback needs the device" "Requires=${escape device}.device" (
      unit config "ebb-rollback.service"
    ))
    (contains "rollback waits for the device" "After=${escape device}.device" (
      unit config "ebb-rollback.service"
    ))
  ];
  # systemd.unit(5), of the characters that occur here
  escape =
    path:
    lib.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] (lib.removePrefix "/" path);

  storePath = value: builtins.unsafeDiscardStringContext (toString value);
in
{
  btrfs = {
    modules = [
      layouts.btrfs
      minimal
    ];
    expect =
      config:
      deviceIs "/dev/disk/by-label/nixos" config
      ++ [
        (is "kind" "btrfs" config.ebb.settings.root.kind)
        (is "subvolume" "@" config.ebb.settings.root.subvolume)
        (is "options, without those that are said elsewhere" [ "compress=zstd" "noatime" ]
          config.ebb.settings.root.options
        )
        (is "what follows a failure" "continue" config.ebb.settings.root.on_failure)
        (contains "a failure is told" "OnFailure=ebb-failure.service" (unit config "ebb-rollback.service"))
        (is "/persist is there in stage 1" true config.fileSystems."/persist".neededForBoot)
        (is "/nix is there in stage 1" true config.fileSystems."/nix".neededForBoot)
        (is "the machine-id is copied" "sync" (entry config "files" "/etc/machine-id").how)
        (has "the numbers of users are kept" "/var/lib/nixos" (pathsOf (store config).directories))
        (is "the home's entry is its user's"
          {
            path = "/home/gabriel/.ssh";
            user = "gabriel";
            uid = 1000;
            group = "users";
            gid = 100;
            mode = "0700";
          }
          (lib.getAttrs [ "path" "user" "uid" "group" "gid" "mode" ] (
            entry config "directories" "/home/gabriel/.ssh"
          ))
        )
        (is "a file of a home is for nobody else" "0600"
          (entry config "files" "/home/gabriel/.bash_history").mode
        )
        (is "what is said of an entry holds" "0700" (entry config "directories" "/var/lib/colord").mode)
        (contains "entries wait for the store" "sysroot-persist.mount" (unit config "ebb-mount.service"))
        (has "the units are there" "ebb-rollback.service" (
          lib.attrNames config.boot.initrd.systemd.units
        ))
        (has "the command is on the path" (storePath config.ebb.package) (
          map storePath config.environment.systemPackages
        ))
        (is "the config is in the running system" (storePath config.ebb.configFile) (
          storePath config.environment.etc."ebb/config.json".source
        ))
        (is "the same is in the initrd" (storePath config.ebb.configFile) (
          storePath config.boot.initrd.systemd.contents."/etc/ebb/config.json".source
        ))
        (is "the binary is in the initrd" "${storePath config.ebb.package}/bin/ebb" (
          storePath config.boot.initrd.systemd.extraBin.ebb
        ))
      ];
  };

  tmpfs = {
    modules = [
      layouts.tmpfs
      buildsOnDisk
      minimal
    ];
    expect = config: [
      (is "kind" "tmpfs" config.ebb.settings.root.kind)
      (is "size" "25%" config.ebb.settings.root.size)
      (is "nothing is said of subvolumes" false (config.ebb.settings.root ? subvolume))
      (is "rollback waits for no device" false (lib.hasInfix ".device" (unit config "ebb-rollback.service")))
    ];
  };

  "tmpfs of the smaller of two sizes" = {
    modules = [
      layouts.tmpfs
      buildsOnDisk
      minimal
      {
        fileSystems."/".options = lib.mkForce [ "mode=0755" ];
        ebb.root.size = {
          bytes = "2G";
          ramPercent = 33;
        };
      }
    ];
    expect = config: [
      (is "size" {
        bytes = "2G";
        ram_percent = 33;
      } config.ebb.settings.root.size)
    ];
  };

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

  "a root that is left alone" = {
    modules = [
      layouts.ext4
      minimal
      { ebb.root.kind = "none"; }
    ];
    expect = config: [
      (is "root" {
        kind = "none";
        on_failure = "continue";
      } config.ebb.settings.root)
      (is "the store has to be mounted" true (store config).mounted)
    ];
  };

  "a root that is left alone, with the store on it" = {
    modules = [
      layouts.ext4
      minimal
      {
        ebb.root.kind = "none";
        ebb.persist = lib.mkForce { "/srv/kept".directories = [ "/var/log" ]; };
      }
    ];
    expect = config: [
      (is "the store may be a directory" false (config.ebb.settings.stores."/srv/kept" ? mounted))
    ];
  };

  luks = {
    modules = [
      (layouts.btrfsOn "/dev/mapper/cryptroot")
      minimal
      { boot.initrd.luks.devices.cryptroot.device = "/dev/disk/by-uuid/0b1c2d3e-0000-4000-8000-000000000001"; }
    ];
    expect = deviceIs "/dev/mapper/cryptroot";
  };

  lvm = {
    modules = [
      (layouts.btrfsOn "/dev/machine/root")
      minimal
      {
        services.lvm.enable = true;
        boot.initrd.services.lvm.enable = true;
      }
    ];
    expect = deviceIs "/dev/machine/root";
  };

  "lvm on luks" = {
    modules = [
      (layouts.btrfsOn "/dev/mapper/machine-root")
      minimal
      {
        services.lvm.enable = true;
        boot.initrd.services.lvm.enable = true;
        boot.initrd.luks.devices.cryptlvm.device = "/dev/disk/by-partlabel/luks";
      }
    ];
    expect = deviceIs "/dev/mapper/machine-root";
  };

  "btrfs on several devices" = {
    modules = [
      (layouts.btrfsOn "/dev/disk/by-id/nvme-one-part2")
      minimal
      { fileSystems."/".options = [ "device=/dev/disk/by-id/nvme-two-part2" ]; }
    ];
    expect =
      config:
      deviceIs "/dev/disk/by-id/nvme-one-part2" config
      ++ [
        (has "the other device is given to the first mount" "device=/dev/disk/by-id/nvme-two-part2"
          config.ebb.settings.root.options
        )
        (contains "and waited for" " ${escape "/dev/disk/by-id/nvme-two-part2"}.device" (
          unit config "ebb-rollback.service"
        ))
      ];
  };

  "a root by the tag of its label" = {
    modules = [
      layouts.btrfs
      minimal
      {
        fileSystems."/".device = lib.mkForce null;
        fileSystems."/".label = "nixos";
      }
    ];
    expect = deviceIs "/dev/disk/by-label/nixos";
  };

  "names below the top level" = {
    modules = [
      (layouts.btrfs // { fileSystems = layouts.btrfs.fileSystems // {
        "/" = layouts.subvolume "/dev/disk/by-label/nixos" "/nixos/@";
      }; })
      minimal
      {
        ebb.root.blank = "nixos/@blank";
        ebb.root.archive = "nixos/@roots";
      }
    ];
    expect = config: [
      (is "names" {
        subvolume = "nixos/@";
        blank = "nixos/@blank";
        archive = "nixos/@roots";
      } (lib.getAttrs [ "subvolume" "blank" "archive" ] config.ebb.settings.root))
    ];
  };

  "a home that is fresh as well" = {
    modules = [
      layouts.btrfs
      minimal
      {
        fileSystems."/home" = layouts.subvolume "/dev/disk/by-label/nixos" "@home";
        ebb.root.also.home = {
          subvolume = "@home";
          blank = "@home-blank";
        };
      }
    ];
    expect = config: [
      (is "also" [
        {
          name = "home";
          subvolume = "@home";
          blank = "@home-blank";
        }
      ] config.ebb.settings.root.also)
      (is "/home is there in stage 1" true config.fileSystems."/home".neededForBoot)
      (contains "entries wait for it" "sysroot-home.mount" (unit config "ebb-mount.service"))
    ];
  };

  "a home of its own, that is kept" = {
    modules = [
      layouts.btrfs
      minimal
      {
        fileSystems."/home" = layouts.subvolume "/dev/disk/by-label/nixos" "@home";
        ebb.persist."/persist".users = lib.mkForce { };
      }
    ];
    expect = config: [
      (is "nothing of it is an entry" [ ] (
        lib.filter (lib.hasPrefix "/home") (pathsOf (store config).directories)
      ))
    ];
  };

  hibernation = {
    modules = [
      layouts.btrfs
      minimal
      {
        swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];
        boot.resumeDevice = "/dev/disk/by-label/swap";
      }
    ];
    expect = config: [
      (has "the kernel is told" "resume=/dev/disk/by-label/swap" config.boot.kernelParams)
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

  "an overlay on /etc" = {
    modules = [
      layouts.btrfs
      minimal
      {
        boot.kernelPackages = pkgs.linuxPackages_latest;
        system.etc.overlay.enable = true;
        ebb.persist."/persist".directories = [ "/etc/NetworkManager/system-connections" ];
      }
    ];
    expect = config: [
      (is "the machine-id is copied" "sync" (entry config "files" "/etc/machine-id").how)
    ];
  };

  "a read-only /etc" = {
    modules = [
      layouts.btrfs
      minimal
      readOnlyEtc
      {
        systemd.sysusers.enable = true;
        users.users.gabriel = {
          isNormalUser = lib.mkForce false;
          isSystemUser = true;
          group = "users";
          home = "/home/gabriel";
          # systemd-sysusers knows no other password
          hashedPassword = lib.mkForce null;
          initialHashedPassword = "$y$j9T$salt$hash";
        };
        users.users.colord.uid = 970;
        users.groups.colord.gid = 970;
      }
    ];
    expect = machineIdIsMounted;
  };
}
// lib.optionalAttrs (builtins.pathExists (nixpkgs + "/nixos/modules/system/activation/nixos-init.nix")) {
  # No activation script is run, and what becomes of the root is decided in the initrd.
  "nixos-init" = {
    modules = [
      layouts.btrfs
      minimal
      readOnlyEtc
      {
        services.userborn.enable = true;
        system.nixos-init.enable = true;
      }
    ];
    expect =
      config:
      machineIdIsMounted config
      ++ [
        (contains "entries come after /etc" "After=sysroot-etc.mount" (
          builtins.readFile ../../units/ebb-mount.service
        ))
        (contains "the overlay on /etc has its name" "Before=initrd-fs.target" (
          unit config "sysroot-etc.mount"
        ))
        (has "numbers of users are kept" "/var/lib/nixos" (pathsOf (store config).directories))
      ];
  };
}
// {
  "users made by systemd-sysusers" = {
    modules = [
      layouts.btrfs
      minimal
      {
        boot.kernelPackages = pkgs.linuxPackages_latest;
        system.etc.overlay.enable = true;
        systemd.sysusers.enable = true;
        # It gives numbers anew at each boot: whoever has something in a store has one.
        users.users.colord.uid = 970;
        users.groups.colord.gid = 970;
        users.users.gabriel = {
          isNormalUser = lib.mkForce false;
          isSystemUser = true;
          group = "users";
          home = "/home/gabriel";
        };
      }
    ];
    expect = config: [
      (is "the home is known" "/home/gabriel/.ssh" (entry config "directories" "/home/gabriel/.ssh").path)
    ];
  };

  "home-manager" = {
    modules = [
      layouts.btrfs
      minimal
      ./home-manager.nix
      {
        home-manager.users.gabriel = {
          home.persistence."/persist" = {
            directories = [ "Documents" ];
            files = [ ".config/monitors.xml" ];
          };
        };
      }
    ];
    expect = config: [
      (is "a directory of home.persistence is its user's" "gabriel"
        (entry config "directories" "/home/gabriel/Documents").user
      )
      (has "and so is a file" "/home/gabriel/.config/monitors.xml" (pathsOf (store config).files))
    ];
  };

  "two stores" = {
    modules = [
      layouts.btrfs
      minimal
      {
        fileSystems."/cache" = layouts.subvolume "/dev/disk/by-label/nixos" "@cache";
        ebb.persist."/cache" = {
          hidden = true;
          directories = [ "/var/cache/big" ];
          users.gabriel.directories = [ ".cache" ];
        };
      }
    ];
    expect = config: [
      (is "the defaults go to the main one" [ "/cache" "/persist" ] (
        lib.attrNames config.ebb.settings.stores
      ))
      (has "the numbers of users are in the main one" "/var/lib/nixos" (
        pathsOf (store config).directories
      ))
      (is "what is said of a store is for its entries" true
        (lib.findFirst (e: e.path == "/home/gabriel/.cache") { } config.ebb.settings.stores."/cache".directories)
        .hidden
      )
      (is "the other is there in stage 1, too" true config.fileSystems."/cache".neededForBoot)
      (contains "and waited for" "sysroot-cache.mount" (unit config "ebb-mount.service"))
    ];
  };

  "another home, and another store" = {
    modules = [
      layouts.btrfs
      gabriel
      {
        imports = [ ../. ];
        fileSystems."/state" = layouts.subvolume "/dev/disk/by-label/nixos" "@state";
        users.users.gabriel.home = "/home/somewhere/else";
        ebb.enable = true;
        ebb.persist."/state".users.gabriel.directories = [ ".ssh" ];
      }
    ];
    expect = config: [
      (is "paths are below the home" [ "/home/somewhere/else/.ssh" ] (
        lib.filter (lib.hasPrefix "/home") (
          map (e: e.path) config.ebb.settings.stores."/state".directories
        )
      ))
      (is "the only store is the main one" "/state" config.ebb.mainStore)
      (has "and has the defaults" "/etc/machine-id" (pathsOf config.ebb.settings.stores."/state".files))
    ];
  };

  "nothing by default" = {
    modules = [
      layouts.btrfs
      minimal
      {
        ebb.keepMachineId = false;
        ebb.keepNixosState = false;
        # Which has the numbers of users in it.
        ebb.persist."/persist".directories = lib.mkForce [ "/var/lib" ];
        ebb.persist."/persist".files = lib.mkForce [ ];
      }
    ];
    expect = config: [
      (is "no file" [ "/home/gabriel/.bash_history" ] (pathsOf (store config).files))
      (hasNot "no directory" "/var/lib/nixos" (pathsOf (store config).directories))
    ];
  };

  "a hundred entries of two users" = {
    modules = [
      layouts.btrfs
      minimal
      {
        users.users.anna = {
          isNormalUser = true;
          hashedPassword = "$y$j9T$salt$hash";
          uid = 1001;
        };
        ebb.persist."/persist" = {
          directories = map (n: "/var/lib/service-${toString n}") (lib.range 1 40);
          users.gabriel.directories = map (n: "project-${toString n}") (lib.range 1 30);
          users.anna.directories = map (n: "project-${toString n}") (lib.range 1 30);
        };
      }
    ];
    expect = config: [
      (is "none is lost" 100 (
        lib.length (
          lib.filter (path: lib.hasInfix "/service-" path || lib.hasInfix "/project-" path) (
            pathsOf (store config).directories
          )
        )
      ))
      (is "each belongs to its user" 30 (
        lib.count (entry: (entry.uid or null) == 1001) (store config).directories
      ))
    ];
  };
}
