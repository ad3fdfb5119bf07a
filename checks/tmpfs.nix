# A root in memory, and what is kept on a file system that is not btrfs.
{ ebbModules, script, ... }:
{
  name = "ebb-tmpfs";

  nodes.machine.specialisation.ebb.configuration =
    { lib, ... }:
    {
      imports = [
        ebbModules.default
        ./persist.nix
      ];
      virtualisation.fileSystems = {
        "/" = lib.mkForce {
          device = "none";
          fsType = "tmpfs";
          options = [ "mode=0755" ];
        };
        "/persist" = {
          device = "/dev/disk/by-label/persist";
          fsType = "ext4";
          neededForBoot = true;
        };
      };
      ebb.root.size = {
        bytes = "2G";
        ramPercent = 33;
      };
    };

  testScript = script {
    body = ''
      with subtest("lay out the disk"):
          machine.succeed("mkfs.ext4 -L persist /dev/vdb")
      boot_into_ebb()

    ''
    + import ./scenes.nix { kind = "tmpfs"; }
    + ''

      with subtest("the root has a third of the memory, which is less than 2 GiB"):
          memory = int(machine.succeed("awk '/^MemTotal:/ { print $2 }' /proc/meminfo")) * 1024
          size = int(machine.succeed("findmnt --bytes --noheadings --output SIZE /"))
          assert abs(size - memory // 3) < memory // 50, f"{size} of {memory} bytes"
    '';
  };
}
