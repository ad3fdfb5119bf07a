# Each kind of root.
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
    buildsOnDisk
    unit
    store
    pathsOf
    entry
    deviceIs
    escape
    storePath
    ;
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
        ebb.root.onFailure = "continue";
      }
    ];
    expect = config: [
      (has "the kernel is told" "resume=/dev/disk/by-label/swap" config.boot.kernelParams)
    ];
  };
}
