# The root is in memory, with /home in it: 2 GiB or a third of the memory, whichever is less.
# A crash takes with it what is not in /persist, and there are no old roots.
{
  fileSystems."/" = {
    device = "none";
    fsType = "tmpfs";
    options = [ "mode=0755" ];
  };

  ebb.root.size = {
    bytes = "2G";
    ramPercent = 33;
  };

  # Builds are larger than that.
  systemd.services.nix-daemon.environment.TMPDIR = "/nix/tmp";
  systemd.tmpfiles.rules = [ "d /nix/tmp 0755 root root 1d" ];
}
