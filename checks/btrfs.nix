# A btrfs root that goes back to a blank snapshot. The subvolume of the root does not even
# exist before the first boot.
{ ebbModules, script, ... }:
let
  device = "/dev/disk/by-label/ebb";
  subvolume = name: {
    inherit device;
    fsType = "btrfs";
    options = [
      "subvol=${name}"
      "compress=zstd"
    ];
    neededForBoot = true;
  };
in
{
  name = "ebb-btrfs";

  nodes.machine.specialisation.ebb.configuration =
    { lib, ... }:
    {
      imports = [
        ebbModules.default
        ./persist.nix
      ];
      virtualisation.fileSystems = {
        "/" = lib.mkForce (subvolume "@");
        "/persist" = subvolume "@persist";
      };
      # The layout of a machine that was not made for ebb has such names.
      ebb.root.blank = "@blank";
    };

  testScript = script {
    body = ''
      with subtest("lay out the disk"):
          machine.succeed("mkfs.btrfs --label ebb /dev/vdb && mount /dev/vdb /mnt")
          machine.succeed("btrfs subvolume create /mnt/@persist")
          machine.succeed("btrfs subvolume create /mnt/@blank")
          machine.succeed("touch /mnt/@blank/from-the-blank")
          machine.succeed("btrfs property set -ts /mnt/@blank ro true")
          machine.succeed("umount /mnt")
      boot_into_ebb()

    ''
    + import ./scenes.nix { kind = "btrfs"; }
    + ''

      with subtest("every root was a snapshot of the blank, and is archived"):
          machine.succeed("test -e /from-the-blank")
          machine.succeed("findmnt --noheadings --output FSROOT / | grep -qx /@")
          archived = json.loads(machine.succeed("ebb roots --json"))
          machine.succeed("mount -o subvolid=5 ${device} /mnt")
          machine.succeed("ls -d /mnt/@roots/0*/root >&2")
          machine.succeed("test -e /mnt/@roots/000001/root/lost")
          machine.fail("touch /mnt/@roots/000001/root/new")
          machine.succeed("umount /mnt")
          assert archived, "ebb roots lists nothing"

      with subtest("with ebb.rollback=no the root is kept, and that is told"):
          machine.succeed("touch /survives")
          machine.succeed("mkdir -p /mnt && sed -i 's/^options .*/& ebb.rollback=no/' /boot/loader/entries/nixos-generation-1-specialisation-ebb.conf")
          shut_down_and_boot()
          machine.wait_for_unit("multi-user.target")
          machine.succeed("test -e /survives")
          machine.fail("ebb status")
          machine.succeed("systemctl is-failed ebb-status.service")

      with subtest("without it, it is fresh again"):
          machine.succeed("sed -i 's/ ebb.rollback=no//' /boot/loader/entries/nixos-generation-1-specialisation-ebb.conf")
          shut_down_and_boot()
          require_kept_and_lost()
          machine.fail("test -e /survives")
    '';
  };
}
