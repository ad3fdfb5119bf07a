# Disks as people have them.
let
  subvolume = device: name: {
    inherit device;
    fsType = "btrfs";
    options = [
      "subvol=${name}"
      "compress=zstd"
      "noatime"
    ];
  };

  btrfsOn = device: {
    fileSystems = {
      "/" = subvolume device "@";
      "/nix" = subvolume device "@nix";
      "/persist" = subvolume device "@persist";
      inherit (boot) "/boot";
    };
  };

  boot."/boot" = {
    device = "/dev/disk/by-label/ESP";
    fsType = "vfat";
  };
in
{
  inherit btrfsOn subvolume;

  btrfs = btrfsOn "/dev/disk/by-label/nixos";

  tmpfs.fileSystems = {
    "/" = {
      device = "none";
      fsType = "tmpfs";
      options = [
        "size=25%"
        "mode=755"
      ];
    };
    "/nix" = {
      device = "/dev/disk/by-label/nixos";
      fsType = "ext4";
    };
    "/persist" = {
      device = "/dev/disk/by-label/persist";
      fsType = "xfs";
    };
    inherit (boot) "/boot";
  };

  # An ordinary root, that is left alone.
  ext4.fileSystems = {
    "/" = {
      device = "/dev/disk/by-label/root";
      fsType = "ext4";
    };
    "/nix" = {
      device = "/dev/disk/by-label/nixos";
      fsType = "ext4";
    };
    "/persist" = {
      device = "/dev/disk/by-label/persist";
      fsType = "ext4";
    };
    inherit (boot) "/boot";
  };
}
