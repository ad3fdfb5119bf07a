# Snapshots of /persist each hour, and once a day to another disk: what is in there is all that
# has to be backed up. /nix can be built again, and the root is new anyhow.
{ config, ... }:
{
  # btrbk wants to see the subvolume from above; nobody else needs to.
  fileSystems."/btrfs" = {
    inherit (config.fileSystems."/persist") device;
    fsType = "btrfs";
    options = [
      "subvolid=5"
      "noatime"
    ];
  };
  systemd.tmpfiles.rules = [
    "z /btrfs 0700 root root -"
    "d /btrfs/@snapshots 0700 root root -"
  ];

  services.btrbk.instances.persist = {
    onCalendar = "hourly";
    settings = {
      snapshot_preserve_min = "2d";
      snapshot_preserve = "14d";
      target_preserve_min = "no";
      target_preserve = "20d 10w *m";
      volume."/btrfs" = {
        snapshot_dir = "@snapshots";
        subvolume."@persist" = { };
        target = "/backup/laptop";
      };
    };
  };

  # A disk on the desk.
  fileSystems."/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "btrfs";
    options = [
      "noauto"
      "nofail"
      "x-systemd.automount"
      "x-systemd.device-timeout=5s"
    ];
  };
}
