# examples/laptop, by its own flake, with stand-ins for the inputs that are not ours.
{
  evaluate,
  lib,
  nixpkgs,
  test,
  ...
}:
let
  sops =
    { config, lib, ... }:
    {
      options.sops = {
        defaultSopsFile = lib.mkOption { type = lib.types.path; };
        age.sshKeyPaths = lib.mkOption { type = lib.types.listOf lib.types.str; };
        secrets = lib.mkOption {
          type = lib.types.attrsOf (
            lib.types.submodule (
              { config, name, ... }:
              {
                options = {
                  neededForUsers = lib.mkEnableOption "it before users are made";
                  owner = lib.mkOption { default = "root"; };
                  path = lib.mkOption {
                    default = "/run/secrets${lib.optionalString config.neededForUsers "-for-users"}/${name}";
                  };
                };
              }
            )
          );
        };
      };
    };

  outputs = (import ../../examples/laptop/flake.nix).outputs {
    nixpkgs.lib = lib // {
      # As nixpkgs.lib has it. The platform that the example names is that of pkgs.
      nixosSystem = { modules }: evaluate modules;
    };
    ebb.nixosModules.default = ../.;
    home-manager.nixosModules.home-manager = ./home-manager.nix;
    sops-nix.nixosModules.sops = sops;
  };

  # What has to outlive a boot of this machine, must and should, whichever way.
  kept = [
    "/etc/NetworkManager/system-connections"
    "/etc/adjtime"
    "/etc/machine-id"
    "/etc/ssh/ssh_host_ed25519_key"
    "/var/lib/NetworkManager"
    "/var/lib/bluetooth"
    "/var/lib/docker"
    "/var/lib/lastlog"
    "/var/lib/logrotate.status"
    "/var/lib/nixos"
    "/var/lib/systemd"
    "/var/log"
    "/home/gabriel/.aws"
    "/home/gabriel/.claude"
    "/home/gabriel/.config"
    "/home/gabriel/.local/bin"
    "/home/gabriel/.local/state"
    "/home/gabriel/.mozilla"
    "/home/gabriel/.ssh"
  ];
  lost = [
    "/home/gabriel"
    "/home/gabriel/.cache"
    "/home/gabriel/.npm"
    "/home/gabriel/.tabby"
    "/var/cache"
    "/tmp"
  ];

  kinds = {
    laptop = "btrfs";
    laptop-tmpfs = "tmpfs";
    laptop-luks = "btrfs";
    laptop-plain = "btrfs";
  };

  variant =
    name: kind:
    let
      inherit (outputs.nixosConfigurations.${name}) config;
      inherit (config.ebb) settings;
      store = settings.stores."/persist";
      paths = map (entry: entry.path) (store.directories ++ store.files);
      toplevel = config.system.build.toplevel.drvPath;
    in
    test.under name (
      [
        {
          name = "is a system";
          ok = lib.hasSuffix ".drv" toplevel;
          detail = toplevel;
        }
        (test.is "no warning" [ ] config.warnings)
        (test.is "kind of the root" kind settings.root.kind)
        (test.is "what is to be kept" [ ] (lib.subtractLists paths kept))
        (test.is "what is to be lost" [ ] (lib.intersectLists lost paths))
        (test.is "/home is fresh on btrfs as well" (kind == "btrfs") (
          map (also: also.subvolume) (settings.root.also or [ ]) == [ "@home" ]
        ))
        (test.contains "the journal is bounded" "SystemMaxUse=" config.services.journald.extraConfig)
        (test.is "a copy of it goes to another machine" true config.services.journald.upload.enable)
        (test.has "/persist is backed up" "btrbk-persist" (lib.attrNames config.systemd.timers))
        (test.is "nothing is kept but in /persist" [ "/persist" ] (lib.attrNames settings.stores))
      ]
      ++ lib.optional (name != "laptop-plain") (
        test.has "what home-manager says is kept" "/home/gabriel/.local/share/direnv" paths
      )
      ++ lib.optional (config ? sops) (
        test.is "secrets are decrypted with a key of the store" [ "/persist/etc/ssh/ssh_host_ed25519_key" ]
          config.sops.age.sshKeyPaths
      )
      ++ lib.optional (name == "laptop-luks") (
        test.is "the root is on what LUKS opens" "/dev/mapper/cryptroot" settings.root.device
      )
    );
in
[
  (test.is "the variants" (lib.attrNames kinds) (lib.attrNames outputs.nixosConfigurations))
]
++ lib.concatLists (lib.mapAttrsToList variant kinds)
