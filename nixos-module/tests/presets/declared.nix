# What is declared, and what survives the boot anyhow, comes first.
arguments@{ layouts, lib, test, ... }:
let
  machine = import ./machine.nix arguments;

  above = machine [
    layouts.btrfs
    {
      ebb.persist."/persist".directories = [ "/var/lib/" ];
      hardware.bluetooth.enable = true;
      services.adguardhome.enable = true;
      services.postgresql.enable = true;
    }
  ];

  same = machine [
    layouts.btrfs
    {
      ebb.persist."/persist" = {
        directories = [
          {
            path = "/var/lib/bluetooth";
            mode = "0711";
          }
        ];
        files = [
          {
            path = "/etc/adjtime";
            how = "bind";
          }
        ];
      };
      hardware.bluetooth.enable = true;
    }
  ];

  below = machine [
    layouts.btrfs
    {
      ebb.persist."/persist".directories = [ "/var/lib/docker/volumes" ];
      virtualisation.docker.enable = true;
    }
  ];

  otherStore = machine [
    layouts.btrfs
    {
      fileSystems."/data" = layouts.subvolume "/dev/disk/by-label/nixos" "@data";
      ebb.persist."/persist".directories = [ "/srv" ];
      ebb.persist."/data".directories = [ "/var/lib/docker" ];
      hardware.bluetooth.enable = true;
      virtualisation.docker.enable = true;
    }
  ];

  onlyStore = machine [
    layouts.btrfs
    {
      fileSystems."/state" = layouts.subvolume "/dev/disk/by-label/nixos" "@state";
      ebb.persist."/state".directories = [ "/srv" ];
      hardware.bluetooth.enable = true;
    }
  ];

  inHome = machine [
    layouts.btrfs
    {
      users.users.gabriel.isNormalUser = true;
      ebb.presets.users = [ "gabriel" ];
      ebb.persist."/persist".users.gabriel.directories = [ ".local" ];
      programs.fish.enable = true;
    }
  ];

  ownFileSystem = machine [
    layouts.btrfs
    {
      fileSystems."/var/log" = layouts.subvolume "/dev/disk/by-label/nixos" "@log";
      fileSystems."/home" = layouts.subvolume "/dev/disk/by-label/nixos" "@home";
      users.users.gabriel.isNormalUser = true;
      ebb.presets.users = [ "gabriel" ];
      programs.fish.enable = true;
    }
  ];
in
[
  (test.is "nothing in a directory that is declared" [ "/var/lib" ] (
    lib.filter (lib.hasPrefix "/var/lib") above.paths
  ))
  (test.is "it is listed" true ((above.skipped "/var/lib/bluetooth") != null))
  (test.is "and not reported" null (above.reported "/var/lib/bluetooth"))

  (test.is "the same path as it is declared" {
    path = "/var/lib/bluetooth";
    mode = "0711";
  } (same.at "/var/lib/bluetooth"))
  (test.is "the same file as it is declared" { path = "/etc/adjtime"; } (same.at "/etc/adjtime"))
  (test.is "once" same.paths (lib.unique same.paths))

  (test.is "nothing around what is declared" [ "/var/lib/docker/volumes" ] (
    lib.filter (lib.hasInfix "docker") below.paths
  ))

  (test.hasNot "nothing that another store has" "/var/lib/docker" (
    map (entry: entry.path) (otherStore.entriesOf "/persist")
  ))
  (test.has "the rest is in the main store" "/var/lib/bluetooth" (
    map (entry: entry.path) (otherStore.entriesOf "/persist")
  ))
  (test.has "which is the only one" "/var/lib/bluetooth" (
    map (entry: entry.path) (onlyStore.entriesOf "/state")
  ))

  (test.is "in homes as well" [ "/home/gabriel/.config/fish" "/home/gabriel/.local" ] (
    lib.sort lib.lessThan (lib.filter (lib.hasPrefix "/home") inHome.paths)
  ))

  (test.is "nothing on a file system of its own" [ ] (
    lib.filter (path: lib.hasPrefix "/var/log" path || lib.hasPrefix "/home" path) ownFileSystem.paths
  ))
]
++ lib.concatMap (it: [ (test.is "no error" [ ] it.errors) ]) [
  above
  same
  below
  otherStore
  onlyStore
  inHome
  ownFileSystem
]
