# The root, and what lies on it.
{
  cases,
  layouts,
  ...
}:

let
  inherit (cases)
    add
    both
    cache
    device
    home
    luks
    lvm
    on
    onTmpfs
    root
    subvolume
    without
    withoutLvm
    ;
in
{
  stage-1.trips = [ (add { boot.initrd.systemd.enable = false; }) ];

  root-kind = {
    trips = [
      (on (root {
        device = "/dev/disk/by-label/root";
        fsType = "ext4";
      }))
      (add { ebb.root.kind = "tmpfs"; })
      (onTmpfs { ebb.root.kind = "btrfs"; })
    ];
    silent = [
      (on layouts.ext4 ++ [ { ebb.root.kind = "none"; } ])
    ];
  };

  root-device = {
    trips = [
      (on (layouts.btrfsOn "/dev/root"))
      (on (root {
        device = "nixos";
        fsType = "btrfs";
        options = [ "subvol=@" ];
      }))
    ];
    silent = [ (on (layouts.btrfsOn "/dev/nvme0n1p2")) ];
  };

  root-subvolid.trips = [
    (on (root {
      inherit device;
      fsType = "btrfs";
      options = [ "subvolid=256" ];
    }))
  ];

  root-subvolume = {
    trips = [
      (on (root {
        inherit device;
        fsType = "btrfs";
        options = [ "noatime" ];
      }))
      (add { ebb.root.subvolume = "@other"; })
    ];
    silent = [
      (on (root {
        inherit device;
        fsType = "btrfs";
        options = [ "subvol=/nixos/@" ];
      }))
    ];
  };

  root-also = {
    trips = [ (onTmpfs { ebb.root.also.home.subvolume = "@home"; }) ];
    silent = [
      (add {
        imports = [ home ];
        ebb.root.also.home.subvolume = "@home";
      })
    ];
  };

  nix-on-root = {
    trips = [ (on (without "/nix")) ];
    silent = [
      (on {
        fileSystems = removeAttrs layouts.btrfs.fileSystems [ "/nix" ] // {
          "/nix/store" = subvolume "@store" // {
            neededForBoot = true;
          };
        };
      })
    ];
  };

  store-on-root = {
    trips = [
      (on (without "/persist"))
      (add { ebb.persist."/cache".directories = [ "/var/cache" ]; })
      (on (both (without "/persist") {
        fileSystems."/persist" = {
          device = "none";
          fsType = "tmpfs";
        };
      }))
    ];
    silent = [
      (add {
        imports = [ (cache subvolume) ];
        ebb.persist."/cache".directories = [ "/var/cache" ];
      })
    ];
  };

  store-path.trips = [
    (add { ebb.persist."persist".directories = [ "/var/cache" ]; })
    (add { ebb.persist."/".directories = [ "/var/cache" ]; })
    (add { ebb.persist."/persist/../other".directories = [ "/var/cache" ]; })
  ];

  lvm = {
    trips = [
      (lvm ++ [ withoutLvm ])
      (on (layouts.btrfsOn "/dev/machine/root") ++ [ withoutLvm ])
    ];
    silent = [
      (lvm ++ [ { boot.initrd.services.lvm.enable = true; } ])
      (luks "/dev/mapper/cryptroot")
    ];
  };

  swap-file = {
    trips = [
      (add {
        swapDevices = [ { device = "/var/swapfile"; } ];
        boot.resumeDevice = device;
      })
    ];
    silent = [
      (add {
        fileSystems."/swap" = subvolume "@swap";
        swapDevices = [ { device = "/swap/swapfile"; } ];
        boot.resumeDevice = device;
        ebb.root.onFailure = "continue";
      })
    ];
  };

  boot-on-root = {
    trips = [
      (
        on (without "/boot")
        ++ [
          {
            boot.loader.systemd-boot.enable = false;
            boot.loader.grub.enable = true;
            boot.loader.grub.device = "/dev/vda";
          }
        ]
      )
    ];
    silent = [
      (add {
        boot.loader.systemd-boot.enable = false;
        boot.loader.grub.enable = true;
        boot.loader.grub.device = "/dev/vda";
      })
    ];
  };
}
