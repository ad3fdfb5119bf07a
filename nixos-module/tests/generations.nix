# Options of NixOS that the module looks at or sets, by the names that the releases from 24.05
# on have for them: a tree has one of the names, unless the option is `newer`, and looked at
# only where it is there. Where nixpkgs declares them, below nixos/modules.
{
  evaluate,
  layouts,
  lib,
  test,
  ...
}:
let
  rows = lib.concatLists (
    lib.mapAttrsToList (file: map (row: { inherit file; } // row)) {
      "config/swap.nix" = [ { names = [ "swapDevices" ]; } ];
      "config/users-groups.nix" = [
        { names = [ "users.users" ]; }
        { names = [ "users.groups" ]; }
        { names = [ "users.mutableUsers" ]; }
      ];
      "misc/assertions.nix" = [ { names = [ "assertions" ]; } { names = [ "warnings" ]; } ];
      "config/nix.nix" = [ { names = [ "nix.settings" ]; } ];
      "services/system/nix-daemon.nix" = [ { names = [ "nix.enable" ]; } { names = [ "nix.package" ]; } ];
      "services/networking/ssh/sshd.nix" = [
        { names = [ "services.openssh.enable" ]; }
        { names = [ "services.openssh.hostKeys" ]; }
        { names = [ "services.openssh.generateHostKeys" ]; newer = true; }
      ];
      "services/system/userborn.nix" = [
        { names = [ "services.userborn.enable" ]; newer = true; }
        { names = [ "services.userborn.passwordFilesLocation" ]; newer = true; }
        { names = [ "services.userborn.static" ]; newer = true; }
      ];
      "system/boot/initrd-ssh.nix" = [
        { names = [ "boot.initrd.network.ssh.enable" ]; }
        { names = [ "boot.initrd.network.ssh.hostKeys" ]; }
      ];
      "system/boot/kernel.nix" = [
        { names = [ "boot.kernelPackages" ]; }
        { names = [ "boot.kernelParams" ]; }
      ];
      "system/boot/loader/efi.nix" = [ { names = [ "boot.loader.efi.efiSysMountPoint" ]; } ];
      "system/boot/loader/grub/grub.nix" = [
        { names = [ "boot.loader.grub.enable" ]; }
        { names = [ "boot.loader.grub.devices" ]; }
      ];
      "system/boot/luksroot.nix" = [ { names = [ "boot.initrd.luks.devices" ]; } ];
      "system/boot/stage-1.nix" = [
        { names = [ "boot.initrd.supportedFilesystems" ]; }
        { names = [ "boot.resumeDevice" ]; }
      ];
      "system/boot/systemd.nix" = [
        { names = [ "systemd.package" ]; }
        { names = [ "systemd.packages" ]; }
        { names = [ "systemd.services" ]; }
        # lines until 25.11
        { names = [ "systemd.sleep.extraConfig" "systemd.sleep.settings.Sleep" ]; }
        { names = [ "systemd.suppressedSystemUnits" ]; }
        { names = [ "systemd.timers" ]; }
      ];
      "system/boot/systemd/initrd.nix" = [
        { names = [ "boot.initrd.systemd.contents" ]; }
        { names = [ "boot.initrd.systemd.emergencyAccess" ]; }
        # true by default since 26.05
        { names = [ "boot.initrd.systemd.enable" ]; }
        { names = [ "boot.initrd.systemd.extraBin" ]; }
        { names = [ "boot.initrd.systemd.packages" ]; }
        { names = [ "boot.initrd.systemd.services" ]; }
        { names = [ "boot.initrd.systemd.units" ]; }
      ];
      "system/boot/systemd/sysusers.nix" = [ { names = [ "systemd.sysusers.enable" ]; } ];
      "system/boot/systemd/tmpfiles.nix" = [ { names = [ "systemd.tmpfiles.settings" ]; } ];
      "system/boot/tmp.nix" = [ { names = [ "boot.tmp.useTmpfs" ]; } ];
      "system/etc/etc.nix" = [
        { names = [ "environment.etc" ]; }
        { names = [ "system.etc.overlay.enable" ]; }
        { names = [ "system.etc.overlay.mutable" ]; }
      ];
      "tasks/filesystems.nix" = [ { names = [ "fileSystems" ]; } ];
      # newer: by default wherever LVM is
      "tasks/lvm.nix" = [ { names = [ "boot.initrd.services.lvm.enable" ]; } ];
    }
  );

  inherit (evaluate [ layouts.btrfs ]) options;

  # One that was renamed or removed is there, but not to be seen.
  isThere =
    name:
    let
      find =
        names: tree:
        if lib.isOption tree then
          tree.visible or true != false
        else
          names != [ ] && tree ? ${lib.head names} && find (lib.tail names) tree.${lib.head names};
    in
    find (lib.splitString "." name) options;

  # What the module looks at, as it is written: config.boot.kernelParams. Modules of other
  # projects are not nixpkgs' to declare.
  sources = map builtins.readFile (
    lib.filter (lib.hasSuffix ".nix") (
      lib.concatMap (dir: map (name: dir + "/${name}") (lib.attrNames (builtins.readDir dir))) [
        ../.
        ../checks
        ../compat
      ]
    )
  );
  looked = lib.unique (
    lib.concatMap (
      text:
      map lib.head (lib.filter lib.isList (builtins.split "config\\.([a-zA-Z]+(\\.[a-zA-Z0-9-]+)*)" text))
    ) (map (lib.replaceStrings [ "options.systemd.sleep" ] [ "" ]) sources)
  );
  ofNixpkgs = lib.filter (
    name:
    lib.any (top: lib.hasPrefix "${top}." "${name}.") [
      "boot"
      "fileSystems"
      "networking"
      "nix"
      "security"
      "services"
      "swapDevices"
      "system"
      "systemd"
      "users"
    ]
    && !(lib.hasPrefix "boot.lanzaboote" name)
  ) looked;
  isListed =
    name:
    lib.any (row: lib.any (known: lib.hasPrefix "${known}." "${name}." || lib.hasPrefix "${name}." "${known}.") row.names) rows;
in
[
  (test.is "every option has one of its names" [ ] (
    map (row: "${lib.concatStringsSep " or " row.names} of ${row.file}") (
      lib.filter (row: !(row.newer or false) && !(lib.any isThere row.names)) rows
    )
  ))
  (test.is "all that the module looks at is listed" [ ] (lib.filter (name: !(isListed name)) ofNixpkgs))
  (test.has "those that are looked at are found" "boot.initrd.services.lvm.enable" ofNixpkgs)
]
