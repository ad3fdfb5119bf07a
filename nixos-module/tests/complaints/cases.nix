# A machine with nothing wrong, and ways to make a mistake.
{
  layouts,
  lib,
  nixpkgs,
  ...
}:

rec {
  device = "/dev/disk/by-label/nixos";
  subvolume = layouts.subvolume device;

  ordinary = {
    imports = [ ../../. ];
    users.users.gabriel = {
      isNormalUser = true;
      uid = 1000;
      hashedPasswordFile = "/persist/passwords/gabriel";
    };
    users.users.root.hashedPasswordFile = lib.mkDefault "/persist/passwords/root";
    ebb.enable = true;
    ebb.persist."/persist".directories = [ "/var/log" ];
  };

  # A machine with nothing wrong, and one thing more.
  add = module: [
    layouts.btrfs
    ordinary
    module
  ];
  # The same on another disk.
  on = layout: [
    layout
    ordinary
  ];
  onTmpfs = module: on layouts.tmpfs ++ [ module ];

  root = fileSystem: {
    fileSystems = layouts.btrfs.fileSystems // {
      "/" = fileSystem;
    };
  };
  without = mountPoint: {
    fileSystems = removeAttrs layouts.btrfs.fileSystems [ mountPoint ];
  };
  keep = entries: { ebb.persist."/persist" = entries; };
  directories = list: keep { directories = list; };
  cache = subvolume: { fileSystems."/cache" = subvolume "@cache"; };
  both = a: b: { imports = [ a b ]; };

  luks = device: on (layouts.btrfsOn device) ++ [
    { boot.initrd.luks.devices.cryptroot.device = "/dev/disk/by-partlabel/luks"; }
  ];
  # as older releases have it by default
  withoutLvm.boot.initrd.services.lvm.enable = false;
  lvm = on (layouts.btrfsOn "/dev/mapper/machine-root");

  immutable =
    { lib, pkgs, ... }:
    {
      boot.kernelPackages = pkgs.linuxPackages_latest;
      system.etc.overlay.enable = true;
      system.etc.overlay.mutable = false;
      systemd.sysusers.enable = true;
      users.mutableUsers = false;
      users.users.gabriel = {
        isNormalUser = lib.mkForce false;
        isSystemUser = true;
        group = "users";
      };
    };
  mutable =
    { pkgs, ... }:
    {
      boot.kernelPackages = pkgs.linuxPackages_latest;
      system.etc.overlay.enable = true;
    };

  # Modules of other projects, as far as they matter here.
  sops =
    { lib, ... }:
    {
      options.sops.age.sshKeyPaths = lib.mkOption { default = [ ]; };
      options.sops.age.keyFile = lib.mkOption { default = null; };
      options.sops.gnupg.sshKeyPaths = lib.mkOption { default = [ ]; };
    };
  agenix =
    { lib, ... }:
    {
      options.age.identityPaths = lib.mkOption { default = [ ]; };
    };
  lanzaboote =
    { lib, ... }:
    {
      options.boot.lanzaboote.enable = lib.mkEnableOption "lanzaboote";
      options.boot.lanzaboote.pkiBundle = lib.mkOption { type = lib.types.path; };
    };

  # NixOS has it from 24.11 on, and "static" later.
  userborn =
    { lib, ... }:
    let
      file = nixpkgs + "/nixos/modules/services/system/userborn.nix";
      known = if builtins.pathExists file then builtins.readFile file else "";
      missing = lib.filterAttrs (name: _: !(lib.hasInfix "${name} =" known)) {
        enable = lib.mkEnableOption "userborn";
        passwordFilesLocation = lib.mkOption { default = "/etc"; };
        static = lib.mkOption { default = false; };
      };
    in
    {
      options = lib.optionalAttrs (missing != { }) { services.userborn = missing; };
    };

  # Newer releases have it.
  generatedKeys =
    { lib, ... }:
    {
      options = lib.optionalAttrs (
        !(lib.hasInfix "generateHostKeys" (
          builtins.readFile (nixpkgs + "/nixos/modules/services/networking/ssh/sshd.nix")
        ))
      ) { services.openssh.generateHostKeys = lib.mkEnableOption "host keys"; };
    };

  hostKeys = map (name: "/etc/ssh/ssh_host_${name}_key") [
    "ed25519"
    "rsa"
  ];

  home = { fileSystems."/home" = subvolume "@home"; };
}
