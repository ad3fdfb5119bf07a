# The configuration of a machine with nothing wrong, with some of it replaced, as it is when NixOS has
# evaluated it: as much of it as the checks look at. Entries are resolved by the module itself.
{ lib }:
overrides:
let
  merge =
    a: b:
    if builtins.isAttrs a && builtins.isAttrs b then
      a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else
      b;
  given = merge base overrides;
  withDefaults = defaults: builtins.mapAttrs (name: value: merge (defaults name) value);

  layouts = import ../layouts.nix;
  base = {
    inherit (layouts.btrfs) fileSystems;
    swapDevices = [ ];
    boot = {
      kernelParams = [ ];
      kernelPackages.kernel.version = "6.6.30";
      resumeDevice = "";
      tmp.useTmpfs = false;
      loader.efi.efiSysMountPoint = "/boot";
      loader.grub.enable = false;
      loader.grub.devices = [ ];
      initrd.luks.devices = { };
      initrd.network.ssh.enable = false;
      initrd.services.lvm.enable = false;
      initrd.systemd = {
        enable = true;
        contents = { };
        emergencyAccess = false;
        services = { };
      };
    };
    environment.etc."ssh/sshd_config" = { };
    nix = {
      enable = true;
      package.version = "2.18.2";
      settings = { };
    };
    services.openssh.enable = false;
    services.openssh.hostKeys = [ { path = "/etc/ssh/ssh_host_ed25519_key"; } ];
    system.etc.overlay.enable = false;
    systemd = {
      services = { };
      sleep.extraConfig = "";
    };
    users = {
      mutableUsers = true;
      users.gabriel = {
        uid = 1000;
        isNormalUser = true;
        hashedPasswordFile = "/persist/passwords/gabriel";
      };
      users.messagebus = { };
      groups.users.gid = 100;
      groups.messagebus = { };
    };
    ebb = {
      enable = true;
      keepNixosState = true;
      mainStore = "/persist";
      persist."/persist".directories = [ "/var/log" ];
      root = {
        kind = "btrfs";
        device = given.fileSystems."/".device or null;
        subvolume = "@";
        also = { };
        onFailure = "continue";
      };
    };
  };

  unset = names: lib.genAttrs names (_: null);
  noOwner = unset [ "user" "group" "uid" "gid" "mode" ];
  entry =
    it:
    noOwner
    // unset [ "how" "hidden" "trash" ]
    // {
      parent = noOwner;
      options = [ ];
      nodatacow = false;
      required = false;
    }
    // (if builtins.isAttrs it then it else { path = it; });
  lists = it: {
    directories = map entry it.directories or [ ];
    files = map entry it.files or [ ];
  };

  persist = builtins.mapAttrs (
    _: store:
    unset [ "hidden" "trash" ]
    // lists store
    // {
      options = [ ];
      users = builtins.mapAttrs (name: it: lists it // { home = "/home/${name}"; }) store.users or { };
    }
  ) given.ebb.persist;

  inherit (import ../../etc.nix { inherit config; }) isImmutable;
  entriesOf = import ../../entries.nix {
    inherit lib;
    inherit (config.users) users groups;
    replacedFiles = [ "/etc/adjtime" ] ++ lib.optional (!isImmutable) "/etc/machine-id";
    linkedFiles = [ ];
  };
  declared = entriesOf.declared persist;
  entries =
    declared
    ++ entriesOf.defaults {
      inherit persist declared;
      inherit (config.ebb) mainStore;
      defaultEntries = lists {
        directories = lib.optional config.ebb.keepNixosState "/var/lib/nixos";
        files = [ "/etc/machine-id" ];
      };
      isKept = (import ../../kept.nix { inherit config lib; }).survives;
    };

  config = given // {
    # null is a file system that is not there
    fileSystems = withDefaults (mountPoint: {
      inherit mountPoint;
      options = [ ];
      neededForBoot = false;
    }) (lib.filterAttrs (_: fileSystem: fileSystem != null) given.fileSystems);
    environment.etc = withDefaults (target: {
      inherit target;
      enable = true;
    }) given.environment.etc;
    users = given.users // {
      users = withDefaults (
        name:
        unset [ "uid" "hashedPassword" "hashedPasswordFile" "password" "initialPassword" "initialHashedPassword" ]
        // {
          inherit name;
          isNormalUser = false;
          group = "users";
        }
      ) given.users.users;
      groups = withDefaults (name: {
        inherit name;
        gid = null;
      }) given.users.groups;
    };
    ebb = given.ebb // {
      inherit entries persist;
      settings.stores = entriesOf.toSettings (_: false) (lib.attrNames persist) entries;
    };
  };
in
{
  inherit config lib;
  # Where the checks ask which options there are.
  options = config;
  # As nixos/lib/utils.nix has it.
  utils.fsNeededForBoot =
    fileSystem:
    fileSystem.neededForBoot || lib.elem fileSystem.mountPoint [ "/" "/nix" "/nix/store" "/var" "/var/log" "/var/lib" "/var/lib/nixos" "/etc" "/usr" ];
}
