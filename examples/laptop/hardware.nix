# One NVMe disk: a boot partition, and a btrfs with @, @home, @nix and @persist.
#
# On the machine as it was there were @ and @home only. From a live system, with the
# top-level subvolume on /mnt:
#
#   btrfs subvolume create /mnt/@nix
#   cp -a --reflink=always /mnt/@/nix/. /mnt/@nix/
#   btrfs subvolume create /mnt/@persist
#
# What is in @ and @home now is not lost: the first boot puts both into the archive, @roots,
# and takes out of them what keep.nix names.
{
  config,
  lib,
  modulesPath,
  ...
}:
let
  subvolume = name: {
    device = config.laptop.disk;
    fsType = "btrfs";
    options = [
      "subvol=${name}"
      "compress=zstd"
      "noatime"
    ];
  };
in
{
  imports = [ (modulesPath + "/installer/scan/not-detected.nix") ];

  options.laptop.disk = lib.mkOption {
    type = lib.types.str;
    default = "/dev/disk/by-label/nixos";
    description = "The device with the btrfs, by the name that everything knows it by.";
  };

  config = {
    # The root itself is in root-btrfs.nix, or in root-tmpfs.nix.
    _module.args.subvolume = subvolume;
    fileSystems = {
      "/nix" = subvolume "@nix";
      "/persist" = subvolume "@persist";
      "/boot" = {
        device = "/dev/disk/by-label/ESP";
        fsType = "vfat";
        options = [ "umask=0077" ];
      };
    };

    boot.loader.systemd-boot.enable = true;
    boot.loader.efi.canTouchEfiVariables = true;
    boot.initrd.systemd.enable = true;
    boot.initrd.availableKernelModules = [
      "nvme"
      "xhci_pci"
    ];

    # Swap is in memory, so that there is nothing to resume from.
    zramSwap.enable = true;
    zramSwap.memoryPercent = 50;

    hardware.enableRedistributableFirmware = true;
    nixpkgs.hostPlatform = "x86_64-linux";
  };
}
