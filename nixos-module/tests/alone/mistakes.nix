# What trips each check: what is replaced in the configuration of machine.nix.
{ lib }:
let
  layouts = import ../layouts.nix;
  subvolume = layouts.subvolume "/dev/disk/by-label/nixos";
  keep = entries: { ebb.persist."/persist" = entries; };
  directories = list: keep { directories = list; };
  root = fileSystem: { fileSystems."/" = fileSystem; };
  swap = {
    device = "/dev/disk/by-label/swap";
    randomEncryption.enable = false;
  };
  hostKey = "/etc/ssh/ssh_host_ed25519_key";
  overlay = mutable: {
    enable = true;
    inherit mutable;
  };
in
{
  # the root, and what lies on it
  stage-1 = [ { boot.initrd.systemd.enable = false; } ];
  root-kind = [
    (root { fsType = "ext4"; })
    { fileSystems."/" = null; }
  ];
  root-device = [ (root { device = "/dev/root"; }) ];
  root-subvolid = [ (root { options = [ "subvolid=256" ]; }) ];
  root-subvolume = [
    (root { options = [ "noatime" ]; })
    { ebb.root.subvolume = "@other"; }
  ];
  root-also = [
    {
      inherit (layouts.tmpfs) fileSystems;
      boot.tmp.useTmpfs = true;
      ebb.root.kind = "tmpfs";
      ebb.root.also.home.subvolume = "@home";
    }
  ];
  nix-on-root = [ { fileSystems."/nix" = null; } ];
  store-on-root = [
    { fileSystems."/persist" = null; }
    { ebb.persist."/cache".directories = [ "/var/cache" ]; }
  ];
  store-path = [
    {
      fileSystems."/cache" = subvolume "@cache";
      ebb.persist."/cache/".directories = [ "/var/cache" ];
    }
  ];
  lvm = [ { fileSystems."/nix".device = "/dev/mapper/machine-nix"; } { fileSystems."/nix".device = "/dev/machine/nix"; } ];
  swap-file = [
    {
      swapDevices = [ (swap // { device = "/var/swapfile"; }) ];
      boot.resumeDevice = "/dev/disk/by-label/nixos";
    }
  ];
  boot-on-root = [
    {
      fileSystems."/boot" = null;
      boot.loader.grub.enable = true;
      boot.loader.grub.devices = [ "/dev/vda" ];
    }
  ];

  # entries
  entry-path = map (path: directories [ path ]) [ "relative" "/var/../log" ] ++ [ (keep { users.gabriel.files = [ "/home/gabriel/.x" ]; }) ];
  entry-place = map (path: directories [ path ]) [ "/" "/nix" "/boot/loader" "/proc/fs" "/sys" "/dev/shm" "/run/x" ];
  entry-store = [ (directories [ "/persist/var/log2" ]) ];
  entry-twice = [
    (directories [ "/srv" "/srv" ])
    (keep {
      directories = [ "/home/gabriel/.ssh" ];
      users.gabriel.directories = [ ".ssh" ];
    })
  ];
  entry-nested = [ (directories [ "/srv" "/srv/in/side" ]) ];
  entry-file-system = [
    {
      fileSystems."/data" = subvolume "@data";
      ebb.persist."/persist".directories = [ "/data" ];
    }
  ];
  entry-options = [
    (directories [
      {
        path = "/srv";
        how = "symlink";
        options = [ "ro" ];
      }
    ])
  ];
  unknown-user = [ (keep { users.nobodyknows.directories = [ ".ssh" ]; }) ];
  machine-id = map (how: keep {
    files = [
      {
        path = "/etc/machine-id";
        inherit how;
      }
    ];
  }) [ "bind" "symlink" ];
  immutable-etc = [
    {
      system.etc.overlay = overlay false;
      environment.etc.machine-id = { };
      ebb.persist."/persist".directories = [ "/etc/wireguard" ];
    }
  ];
  etc-hidden = [
    (directories [ "/etc/ssh" ])
    (directories [ "/etc/ssh" ] // { system.etc.overlay = overlay true; })
  ];

  # what NixOS needs from before
  nixos-state = [ { ebb.keepNixosState = false; } ];
  userborn-state = [ { services.userborn.enable = true; } ];
  password-file = [ { users.users.gabriel.hashedPasswordFile = "/etc/passwords/gabriel"; } ];
  secret-keys = [
    { sops.age.sshKeyPaths = [ hostKey ]; }
    { age.identityPaths = [ hostKey ]; }
  ];
  initrd-ssh-keys = [
    {
      boot.initrd.network.ssh.enable = true;
      boot.initrd.network.ssh.hostKeys = [ "/etc/secrets/initrd/key" ];
    }
  ];
  secure-boot-keys = [
    {
      boot.lanzaboote.enable = true;
      boot.lanzaboote.pkiBundle = "/var/lib/sbctl";
    }
  ];

  # warnings
  luks-timeout = [ { boot.initrd.luks.devices.cryptroot = { }; } ];
  hibernation = [ { swapDevices = [ swap ]; } ];
  hibernation-unresumed = [
    {
      swapDevices = [ swap ];
      boot.resumeDevice = swap.device;
    }
    { boot.resumeDevice = swap.device; }
  ];
  unknown-owner = [
    (directories [
      {
        path = "/var/lib/colord";
        user = "colord";
      }
    ])
  ];
  ssh-host-keys = [
    { services.openssh.enable = true; }
    { services.openssh.generateHostKeys = true; }
  ];
  entry-survives = [
    {
      fileSystems."/home" = subvolume "@home";
      ebb.persist."/persist".users.gabriel.directories = [ ".ssh" ];
    }
  ];
  required-home = [
    {
      ebb.persist."/persist".users.gabriel.directories = [
        {
          path = "mail";
          required = true;
        }
      ];
    }
  ];
  second-rollback = [
    {
      boot.initrd.systemd.services.rollback = {
        before = [ "sysroot.mount" ];
        script = "mount /dev/vda /mnt\nbtrfs subvolume delete /mnt/root\n";
      };
    }
  ];
  passwords = [ { users.users.anna.isNormalUser = true; } ];
  sysusers-numbers = [
    {
      systemd.sysusers.enable = true;
      ebb.persist."/persist".directories = [
        {
          path = "/srv";
          user = "messagebus";
        }
      ];
    }
  ];
  dynamic-user = [
    {
      systemd.services.it.serviceConfig = {
        DynamicUser = true;
        StateDirectory = "it";
      };
      ebb.persist."/persist".directories = [ "/var/lib/it" ];
    }
  ];
  emergency-locked = [
    { ebb.root.onFailure = "emergency"; }
    (directories [
      {
        path = "/srv";
        required = true;
      }
    ])
  ];
  builds-in-memory = [
    {
      inherit (layouts.tmpfs) fileSystems;
      ebb.root.kind = "tmpfs";
    }
  ];
  kernel = [ { boot.kernelPackages.kernel.version = "5.15.160"; } ];
}
