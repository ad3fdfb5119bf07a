# All of the disk but the boot partition is encrypted. Under any other name than this one
# systemd would wait for the passphrase for 90 seconds only.
{
  laptop.disk = "/dev/mapper/cryptroot";

  boot.initrd.luks.devices.cryptroot = {
    device = "/dev/disk/by-partlabel/cryptroot";
    allowDiscards = true;
  };
}
