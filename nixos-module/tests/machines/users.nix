# How /etc and users are made.
{
  layouts,
  lib,
  nixpkgs,
  parts,
  pkgs,
  test,
  ...
}:

let
  inherit (test) is has contains;
  inherit (parts)
    minimal
    readOnlyEtc
    machineIdIsMounted
    unit
    store
    pathsOf
    entry
    ;
in
{
  "an overlay on /etc" = {
    modules = [
      layouts.btrfs
      minimal
      {
        boot.kernelPackages = pkgs.linuxPackages_latest;
        system.etc.overlay.enable = true;
        ebb.persist."/persist".directories = [ "/etc/NetworkManager/system-connections" ];
      }
    ];
    expect = config: [
      (is "the machine-id is copied" "sync" (entry config "files" "/etc/machine-id").how)
    ];
  };

  "a read-only /etc" = {
    modules = [
      layouts.btrfs
      minimal
      readOnlyEtc
      {
        systemd.sysusers.enable = true;
        users.users.gabriel = {
          isNormalUser = lib.mkForce false;
          isSystemUser = true;
          group = "users";
          home = "/home/gabriel";
          # systemd-sysusers knows no other password
          hashedPassword = lib.mkForce null;
          initialHashedPassword = "$y$j9T$salt$hash";
        };
        users.users.colord.uid = 970;
        users.groups.colord.gid = 970;
      }
    ];
    expect = machineIdIsMounted;
  };

  "users made by systemd-sysusers" = {
    modules = [
      layouts.btrfs
      minimal
      {
        boot.kernelPackages = pkgs.linuxPackages_latest;
        system.etc.overlay.enable = true;
        systemd.sysusers.enable = true;
        # It gives numbers anew at each boot: whoever has something in a store has one.
        users.users.colord.uid = 970;
        users.groups.colord.gid = 970;
        users.users.gabriel = {
          isNormalUser = lib.mkForce false;
          isSystemUser = true;
          group = "users";
          home = "/home/gabriel";
        };
      }
    ];
    expect = config: [
      (is "the home is known" "/home/gabriel/.ssh" (entry config "directories" "/home/gabriel/.ssh").path)
    ];
  };

  "home-manager" = {
    modules = [
      layouts.btrfs
      minimal
      ../home-manager.nix
      {
        home-manager.users.gabriel = {
          home.persistence."/persist" = {
            directories = [ "Documents" ];
            files = [ ".config/monitors.xml" ];
          };
        };
      }
    ];
    expect = config: [
      (is "a directory of home.persistence is its user's" "gabriel"
        (entry config "directories" "/home/gabriel/Documents").user
      )
      (has "and so is a file" "/home/gabriel/.config/monitors.xml" (pathsOf (store config).files))
    ];
  };
}
// lib.optionalAttrs (builtins.pathExists (nixpkgs + "/nixos/modules/services/system/userborn.nix")) {
  "users made by userborn" = {
    modules = [
      layouts.btrfs
      minimal
      {
        services.userborn.enable = true;
        services.userborn.passwordFilesLocation = "/var/lib/nixos";
      }
    ];
    expect = config: [
      (has "its files are kept" "/var/lib/nixos" (pathsOf (store config).directories))
      (contains "what is copied waits for it" "After=systemd-sysusers.service userborn.service" (
        config.systemd.units."ebb-sync.service".text
      ))
    ];
  };
}
// lib.optionalAttrs (builtins.pathExists (nixpkgs + "/nixos/modules/system/activation/nixos-init.nix")) {
  # No activation script is run, and what becomes of the root is decided in the initrd.
  "nixos-init" = {
    modules = [
      layouts.btrfs
      minimal
      readOnlyEtc
      {
        services.userborn.enable = true;
        system.nixos-init.enable = true;
      }
    ];
    expect =
      config:
      machineIdIsMounted config
      ++ [
        (contains "entries come after /etc" "After=sysroot-etc.mount" (
          builtins.readFile ../../../units/ebb-mount.service
        ))
        (contains "the overlay on /etc has its name" "Before=initrd-fs.target" (
          unit config "sysroot-etc.mount"
        ))
        (has "numbers of users are kept" "/var/lib/nixos" (pathsOf (store config).directories))
      ];
  };
}
