# A btrfs root below an encrypted device: the rollback has to wait for a person.
{ ebbModules, script, ... }:
let
  subvolume = name: {
    device = "/dev/mapper/cryptroot";
    fsType = "btrfs";
    options = [ "subvol=${name}" ];
    neededForBoot = true;
  };
in
{
  name = "ebb-luks";

  nodes.machine.specialisation.ebb.configuration =
    { lib, ... }:
    {
      imports = [
        ebbModules.default
        ./persist.nix
      ];
      boot.initrd.luks.devices = lib.mkVMOverride { cryptroot.device = "/dev/vdb"; };
      virtualisation.fileSystems = {
        "/" = lib.mkForce (subvolume "@");
        "/persist" = subvolume "@persist";
      };
    };

  testScript = script {
    onStart = "unlock()";
    body = ''
      passphrase = "supersecret"

      with subtest("lay out the disk"):
          machine.succeed(f"echo -n {passphrase} | cryptsetup luksFormat -q --iter-time=1 /dev/vdb -")
          machine.succeed(f"echo -n {passphrase} | cryptsetup luksOpen -q /dev/vdb cryptroot")
          machine.succeed("mkfs.btrfs --label ebb /dev/mapper/cryptroot")
          machine.succeed("mount /dev/mapper/cryptroot /mnt")
          machine.succeed("btrfs subvolume create /mnt/@ && btrfs subvolume create /mnt/@persist")
          machine.succeed("touch /mnt/@/lost")
          machine.succeed("umount /mnt")


      def unlock():
          machine.wait_for_console_text("Please enter passphrase for disk cryptroot")
          machine.send_console(f"{passphrase}\n")


      boot_into_ebb()

    ''
    + import ./scenes.nix { kind = "btrfs"; };
  };
}
