# With ebb.presets.auto: what is enabled, no more, and all of it in the report.
arguments@{ layouts, lib, test, ... }:
let
  machine = import ./machine.nix arguments;

  laptop = machine [
    layouts.btrfs
    {
      ebb.presets.users = [ "gabriel" ];
      users.users.gabriel = {
        isNormalUser = true;
        hashedPassword = "!";
      };
      hardware.bluetooth.enable = true;
      networking.networkmanager.enable = true;
      networking.wireless.iwd.enable = true;
      programs.fish.enable = true;
      programs.firefox.enable = true;
      services.openssh.enable = true;
      services.postgresql.enable = true;
      services.printing.enable = true;
      virtualisation.docker.enable = true;
    }
  ];

  off = machine [
    layouts.btrfs
    {
      ebb.presets.auto = false;
      hardware.bluetooth.enable = true;
      services.postgresql.enable = true;
    }
  ];

  byName = machine [
    layouts.btrfs
    {
      ebb.presets = {
        auto = false;
        enable = [ "bluetooth" "wireguard" "ssh" "networkmanager/state" ];
        users = [ "gabriel" ];
      };
      users.users.gabriel.isNormalUser = true;
    }
  ];

  without = machine [
    layouts.btrfs
    {
      ebb.presets.disable = [ "networkmanager" "openssh/rsa" "openssh/rsa-pub" "postgresql.service" "log" ];
      networking.networkmanager.enable = true;
      services.openssh.enable = true;
      services.postgresql.enable = true;
    }
  ];

  unknown = machine [
    layouts.btrfs
    {
      ebb.presets = {
        disable = [ "dockre" "gone.service" ];
        enable = [ "blutooth" ];
        users = [ "nobody-here" ];
      };
    }
  ];

  # In nixpkgs there is no such option, so that it can be anything here.
  aside = option: machine [ layouts.btrfs option ];
in
[
  (test.is "what the programs need" {
    path = "/var/lib/bluetooth";
    mode = "0700";
  } (laptop.at "/var/lib/bluetooth"))
  (test.is "each part of a preset" true (
    lib.all (path: lib.elem path laptop.paths) [
      "/etc/NetworkManager/system-connections"
      "/var/lib/NetworkManager"
      "/etc/ssh/ssh_host_ed25519_key"
      "/etc/ssh/ssh_host_ed25519_key.pub"
      "/etc/ssh/ssh_host_rsa_key"
      "/var/lib/iwd"
      "/var/lib/cups"
    ]
  ))
  (test.is "containers are a subvolume" {
    path = "/var/lib/docker";
    mode = "0710";
    subvolume = true;
  } (laptop.at "/var/lib/docker"))
  (test.is "a database is its user's" {
    path = "/var/lib/postgresql";
    user = "postgres";
    uid = 71;
    group = "postgres";
    gid = 71;
    mode = "0750";
  } (laptop.at "/var/lib/postgresql"))
  (test.is "what every machine has" true (
    lib.all (path: lib.elem path laptop.paths) [
      "/var/lib/systemd"
      "/var/log"
      "/etc/adjtime"
      "/etc/machine-id"
      "/var/lib/nixos"
    ]
  ))
  (test.is "host keys are links" "symlink" (laptop.at "/etc/ssh/ssh_host_ed25519_key").how)
  (test.is "what is replaced by rename is synced" "sync" (laptop.at "/etc/adjtime").how)
  (test.is "homes of users that are named" {
    path = "/home/gabriel/.mozilla";
    user = "gabriel";
    group = "users";
    gid = 100;
    mode = "0700";
    parent = {
      user = "gabriel";
      group = "users";
      gid = 100;
    };
  } (laptop.at "/home/gabriel/.mozilla"))
  (test.has "programs of users" "/home/gabriel/.local/share/fish" laptop.paths)
  (test.hasNot "not what is not enabled" "/var/lib/libvirt" laptop.paths)
  (test.hasNot "not what has no option" "/etc/wireguard" laptop.paths)
  (test.is "nothing that is not to be kept" [ ] (
    lib.filter (path: lib.hasPrefix "/var/cache" path || lib.hasPrefix "/tmp" path) laptop.paths
  ))
  (test.is "no path twice" laptop.paths (lib.unique laptop.paths))
  (test.is "no error" [ ] laptop.errors)
  (test.is "no warning" [ ] laptop.config.warnings)
  (test.is "the report says why" {
    name = "bluetooth";
    path = "/var/lib/bluetooth";
    reason = "hardware.bluetooth.enable: Bluetooth pairings";
  } (laptop.reported "/var/lib/bluetooth"))
  (test.is "the report has all of it" [ "/etc/machine-id" "/var/lib/nixos" ] (
    lib.sort lib.lessThan (lib.filter (path: laptop.reported path == null) laptop.paths)
  ))
  (test.is "and nothing else" [ ] (
    lib.filter (it: !(lib.elem it.path laptop.paths)) laptop.config.ebb.presets.report
  ))

  (test.is "nothing without auto" [ "/etc/machine-id" "/var/lib/nixos" ] (
    lib.sort lib.lessThan off.paths
  ))
  (test.is "nothing in the report without auto" [ ] off.config.ebb.presets.report)

  (test.is "by name, without auto" [
    "/etc/machine-id"
    "/etc/wireguard"
    "/home/gabriel/.ssh"
    "/var/lib/NetworkManager"
    "/var/lib/bluetooth"
    "/var/lib/nixos"
  ] (lib.sort lib.lessThan byName.paths))
  (test.is "the report names the name" "ebb.presets.enable has \"ssh\": SSH keys and known hosts" (byName.reported "/home/gabriel/.ssh").reason)

  (test.is "a preset that is turned off, with all its parts" [ ] (
    lib.filter (lib.hasInfix "NetworkManager") without.paths
  ))
  (test.is "a part that is turned off" [ "/etc/ssh/ssh_host_ed25519_key" "/etc/ssh/ssh_host_ed25519_key.pub" ] (
    lib.sort lib.lessThan (lib.filter (lib.hasPrefix "/etc/ssh/") without.paths)
  ))
  (test.is "a unit that is turned off" [ ] (lib.filter (lib.hasInfix "postgresql") without.paths))
  (test.is "what is turned off is listed" "ebb.presets.disable" (without.skipped "/var/log").reason)

  (test.is "a misspelt name is an error" 1 (
    lib.length (lib.filter (lib.hasInfix "no preset called \"blutooth\", \"dockre\"") unknown.errors)
  ))
  (test.is "and so is an unknown user" 1 (
    lib.length (lib.filter (lib.hasInfix "no user called \"nobody-here\"") unknown.errors)
  ))

  (test.has "an option of another project" "/var/lib/sbctl" (aside {
    options.boot.lanzaboote.enable = lib.mkOption { default = true; };
  }).paths)
  (test.hasNot "an option that is off" "/var/lib/sbctl" (aside {
    options.boot.lanzaboote.enable = lib.mkOption { default = false; };
  }).paths)
  (test.hasNot "an option without a value is not looked at" "/var/lib/sbctl" (aside {
    options.boot.lanzaboote.enable = lib.mkOption { type = lib.types.bool; };
  }).paths)
  (test.hasNot "an option that was removed is not looked at" "/var/lib/sbctl" (aside {
    imports = [ (lib.mkRemovedOptionModule [ "boot" "lanzaboote" "enable" ] "It is gone.") ];
  }).paths)
  (test.hasNot "an option that was renamed is not looked at" "/var/lib/sbctl" (aside {
    imports = [
      (lib.mkRenamedOptionModule [ "boot" "lanzaboote" "enable" ] [ "boot" "tuxedo" "enable" ])
    ];
    # Whoever asks for the old name, asks for this.
    options.boot.tuxedo.enable = lib.mkOption { default = throw "the old name was looked at"; };
  }).paths)
]
