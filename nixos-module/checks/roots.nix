# Errors: the root, and what lies on it. Each is { name; trips; text; }.
{
  config,
  facts,
  lib,
  ...
}:

let
  inherit (facts)
    about
    isBadStore
    isBtrfs
    isFresh
    isLost
    isLvm
    kept
    listed
    neededDevices
    root
    rootFileSystem
    rootOptions
    stores
    subvolumes
    swapFiles
    ;
in
[
  {
    name = "stage-1";
    trips = !config.boot.initrd.systemd.enable;
    text = ''
      the initrd is not systemd's, so that nothing would ever run. Write:
        boot.initrd.systemd.enable = true;
    '';
  }
  {
    name = "root-kind";
    trips =
      rootFileSystem == null
      || root.kind == "btrfs" && rootFileSystem.fsType != "btrfs"
      || root.kind == "tmpfs" && rootFileSystem.fsType != "tmpfs";
    text = ''
      fileSystems."/" is ${
        if rootFileSystem == null then "not there" else "of type ${rootFileSystem.fsType}"
      }, but ebb.root.kind is "${root.kind}". Make the root a btrfs:
        fileSystems."/" = { device = "/dev/..."; fsType = "btrfs"; options = [ "subvol=@" ]; };
      or a tmpfs:
        fileSystems."/" = { device = "none"; fsType = "tmpfs"; };
      or leave it alone, and only keep what is declared:
        ebb.root.kind = "none";
    '';
  }
  {
    name = "root-device";
    trips =
      isBtrfs
      && (root.device == null || root.device == "/dev/root" || !(lib.hasPrefix "/dev/" root.device));
    text = ''
      ${
        if root.device == null then "the root has no device" else "${root.device} is not a device that there is in a systemd initrd"
      }. Name the real one:
        fileSystems."/".device = "/dev/disk/by-label/nixos";
    '';
  }
  {
    name = "root-subvolid";
    trips = isBtrfs && lib.any (lib.hasPrefix "subvolid=") rootOptions;
    text = ''
      fileSystems."/" names its subvolume by number, and the number of the root is
      another one after each boot. Write its name:
        fileSystems."/".options = [ "subvol=${root.subvolume}" ];
    '';
  }
  {
    name = "root-subvolume";
    trips =
      isBtrfs
      && !(lib.any (lib.hasPrefix "subvolid=") rootOptions)
      && subvolumes != [ root.subvolume ];
    text = ''
      ${
        if subvolumes == [ ] then
          "fileSystems.\"/\" names no subvolume, so that the default one would be mounted"
        else
          "fileSystems.\"/\" is the subvolume ${lib.last subvolumes}, but ebb.root.subvolume is ${root.subvolume}"
      }: the machine would not run on the fresh root. Write:
        fileSystems."/".options = [ "subvol=${root.subvolume}" ];
    '';
  }
  {
    name = "root-also";
    trips = root.kind != "btrfs" && root.also != { };
    text = ''
      ebb.root.also needs a root on btrfs: subvolumes are rolled back along with it.
      Take it out, or set ebb.root.kind = "btrfs".
    '';
  }
  {
    name = "nix-on-root";
    trips = isFresh && !(kept.survives "/nix/store");
    text = ''
      /nix lies on the root, which is empty after a boot: nothing would be there to boot.
      Give it a file system of its own, a subvolume say:
        fileSystems."/nix" = { device = "${toString root.device}"; fsType = "btrfs"; options = [ "subvol=@nix" ]; };
    '';
  }
  (about "store-on-root" (lib.filter (store: isFresh && !(kept.survives store)) stores) (them: ''
    the store ${listed them} lies on what is empty after a boot. Give it a file system of
    its own, a subvolume say:
      fileSystems."${lib.head them}" = { device = "${toString root.device}"; fsType = "btrfs"; options = [ "subvol=@persist" ]; };
  ''))
  (about "store-path" (lib.filter isBadStore stores) (them: ''
    ebb.persist.${builtins.toJSON (lib.head them)}: a store is an absolute path without a slash at the end and
    without "..", not "/" itself, and does not end in the home of a user, which comes below it by
    itself. Write:
      ebb.persist."/persist"
  ''))
  (about "lvm" (lib.filter isLvm (lib.optionals (!config.boot.initrd.services.lvm.enable) neededDevices)) (them: ''
    ${listed them} looks like a logical volume, and nothing in the initrd makes these
    appear. Write:
      boot.initrd.services.lvm.enable = true;
  ''))
  (about "swap-file" (lib.filter isLost swapFiles) (them: ''
    the swap file ${listed them} lies on the root, which is another one after a boot. Put it
    on a file system that stays, a subvolume of its own say:
      fileSystems."/swap" = { device = "${toString root.device}"; fsType = "btrfs"; options = [ "subvol=@swap" ]; };
      swapDevices = [ { device = "/swap/swapfile"; } ];
  ''))
  {
    name = "boot-on-root";
    trips =
      isFresh
      && config.boot.loader.grub.enable
      && lib.subtractLists [ "nodev" ] config.boot.loader.grub.devices != [ ]
      && !(kept.survives "/boot");
    text = ''
      GRUB has its files in /boot, on the root, which is empty after a boot: the machine
      would not start. Give it a file system of its own:
        fileSystems."/boot" = { device = "/dev/disk/by-label/boot"; fsType = "ext4"; };
    '';
  }
]
