# Programs that were told to keep their things somewhere else, or to run as somebody else,
# and an /etc that has no room.
arguments@{ layouts, lib, test, ... }:
let
  machine = import ./machine.nix arguments;

  moved = machine [
    layouts.btrfs
    {
      fileSystems."/data" = layouts.subvolume "/dev/disk/by-label/nixos" "@data";
      users.users.gabriel.isNormalUser = true;
      services.jellyfin = {
        enable = true;
        dataDir = "/srv/jellyfin";
        user = "gabriel";
        group = "users";
      };
      services.mysql = {
        enable = true;
        package = lib.mkDefault arguments.pkgs.mariadb;
        dataDir = "/data/mysql";
      };
      services.syncthing = {
        enable = true;
        user = "gabriel";
        dataDir = "/home/gabriel";
      };
      services.openssh = {
        enable = true;
        hostKeys = [
          {
            type = "ed25519";
            path = "/var/lib/ssh/key";
          }
        ];
      };
      networking.wireguard.interfaces = {
        generated = {
          privateKeyFile = "/etc/wireguard/generated";
          generatePrivateKeyFile = true;
        };
        secret.privateKeyFile = "/run/secrets/wireguard";
      };
    }
  ];

  immutable = machine [
    layouts.btrfs
    {
      system.etc.overlay = {
        enable = true;
        mutable = false;
      };
      boot.kernelPackages = arguments.pkgs.linuxPackages_latest;
      systemd.sysusers.enable = true;
      users.mutableUsers = false;
      networking.networkmanager.enable = true;
    }
  ];

  localTime = machine [
    layouts.btrfs
    {
      environment.etc.adjtime.text = "0.0 0 0.0\n0\nLOCAL\n";
      environment.etc."nixos/configuration.nix".text = "{ }";
    }
  ];

  tmpfs = machine [
    layouts.tmpfs
    { virtualisation.docker.enable = true; }
  ];
in
[
  (test.is "where it was told, and whose" {
    path = "/srv/jellyfin";
    user = "gabriel";
    group = "users";
    gid = 100;
    mode = "0700";
  } (moved.at "/srv/jellyfin"))
  (test.hasNot "not the usual place" "/var/lib/mysql" moved.paths)
  (test.hasNot "not on a file system of its own" "/data/mysql" moved.paths)
  (test.has "its settings, not the whole home" "/home/gabriel/.config/syncthing" moved.paths)
  (test.hasNot "the home is not kept" "/home/gabriel" moved.paths)
  (test.is "host keys" [ "/var/lib/ssh/key" "/var/lib/ssh/key.pub" ] (
    lib.filter (lib.hasInfix "ssh") (lib.sort lib.lessThan moved.paths)
  ))
  (test.has "keys of tunnels" "/etc/wireguard/generated" moved.paths)
  (test.hasNot "but not secrets that are made at each boot" "/run/secrets/wireguard" moved.paths)
  (test.is "no error" [ ] moved.errors)

  (test.is "nothing in an /etc that is read-only" [ ] (
    lib.filter (path: lib.hasPrefix "/etc/" path && path != "/etc/machine-id") immutable.paths
  ))
  (test.contains "it is listed" "read-only" (immutable.skipped "/etc/NetworkManager/system-connections").reason)

  (test.hasNot "nothing that hides what the configuration makes" "/etc/nixos" localTime.paths)
  (test.contains "it is listed, too" "would hide" (localTime.skipped "/etc/nixos").reason)
  (test.hasNot "nothing that the configuration makes" "/etc/adjtime" localTime.paths)
  (test.is "that, too" "environment.etc makes it" (localTime.skipped "/etc/adjtime").reason)

  (test.is "no subvolume where the store is not on btrfs" {
    path = "/var/lib/docker";
    mode = "0710";
  } (tmpfs.at "/var/lib/docker"))
]
