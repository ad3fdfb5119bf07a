# A root in memory and a file system for what is kept, which is all that the compatibility
# modules need: they leave an ordinary root alone.
store:
{ lib, ... }:
{
  virtualisation.fileSystems = {
    "/" = lib.mkForce {
      device = "none";
      fsType = "tmpfs";
      options = [ "mode=0755" ];
    };
    ${store} = {
      device = "/dev/disk/by-label/persist";
      fsType = "ext4";
      neededForBoot = true;
    };
  };
  services.openssh.enable = true;
}
