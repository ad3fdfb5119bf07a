# The set-ups of the golden files: on devices that the virtual machines have,
# with users that they have.
{ lib }:

let
  subvolume = device: name: {
    inherit device;
    fsType = "btrfs";
    options = [
      "subvol=${name}"
      "noatime"
    ];
  };

  onBtrfs = device: {
    fileSystems = {
      "/" = subvolume device "@";
      "/nix" = subvolume device "@nix";
      "/persist" = subvolume device "@persist";
    };
  };

  gabriel.users.users.gabriel = {
    isNormalUser = true;
    uid = 1000;
    initialPassword = "gabriel";
  };

  alice.users.users.alice = {
    isNormalUser = true;
    uid = 1001;
    initialPassword = "alice";
  };

  common = {
    ebb.enable = true;
    ebb.persist."/persist" = {
      directories = [
        "/var/log"
        "/var/lib/bluetooth"
        {
          path = "/var/lib/colord";
          user = "messagebus";
          mode = "0700";
        }
      ];
      files = [
        "/etc/machine-id"
        "/etc/adjtime"
      ];
      users.gabriel = {
        directories = [
          ".ssh"
          ".mozilla"
          ".local/state/nvim"
        ];
        files = [ ".bash_history" ];
      };
    };
  };

  # name 3 is "03".
  name = number: lib.fixedWidthNumber 2 number;
in
{
  btrfs.imports = [
    (onBtrfs "/dev/disk/by-label/nixos")
    gabriel
    common
  ];

  tmpfs.imports = [
    (onBtrfs "/dev/disk/by-label/nixos")
    gabriel
    common
    {
      fileSystems."/" = lib.mkForce {
        device = "none";
        fsType = "tmpfs";
        options = [ "mode=755" ];
      };
      ebb.root.size = {
        bytes = "2G";
        ramPercent = 33;
      };
    }
  ];

  # The passphrase is typed in the initrd; and every failure stops there.
  luks.imports = [
    (onBtrfs "/dev/mapper/cryptroot")
    gabriel
    common
    {
      boot.initrd.luks.devices.cryptroot.device = "/dev/disk/by-label/crypt";
      ebb.root.onFailure = "emergency";
      ebb.persist."/persist".directories = [
        {
          path = "/var/lib/systemd";
          required = true;
        }
      ];
    }
  ];

  # 100 entries, with the two of /etc/machine-id and /var/lib/nixos.
  hundred.imports = [
    (onBtrfs "/dev/disk/by-label/nixos")
    gabriel
    alice
    {
      ebb.enable = true;
      ebb.persist."/persist" = {
        directories = lib.genList (number: "/var/lib/service-${name number}/state") 38;
        users.gabriel = {
          directories = lib.genList (number: ".config/program-${name number}") 20;
          files = lib.genList (number: ".local/share/program-${name number}/history") 10;
        };
        users.alice = {
          directories = lib.genList (number: ".config/program-${name number}") 20;
          files = lib.genList (number: ".local/share/program-${name number}/history") 10;
        };
      };
    }
  ];
}
