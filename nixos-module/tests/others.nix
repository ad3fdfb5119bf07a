# Machines with the modules of other projects themselves: trees of them, in a directory that is
# named, by their names. Elsewhere the tests have stand-ins for them.
{
  diskoLayout,
  evaluate,
  layouts,
  lib,
  others,
  pkgs,
  test,
  ...
}:

let
  inherit (test) is has;

  ordinary = {
    imports = [ ../. ];
    users.users.gabriel = {
      isNormalUser = true;
      uid = 1000;
      hashedPassword = "$y$j9T$salt$hash";
    };
    ebb.enable = true;
    ebb.persist."/persist" = {
      directories = [ "/var/log" ];
      files = [ "/etc/ssh/ssh_host_ed25519_key" ];
    };
  };

  pathsOf =
    config:
    let
      store = config.ebb.settings.stores."/persist";
    in
    map (entry: entry.path) (store.directories or [ ] ++ store.files or [ ]);

  machines = {
    agenix = {
      modules = [
        layouts.btrfs
        ordinary
        (others + "/agenix/modules/age.nix")
        {
          age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
          age.secrets.example.file = builtins.toFile "example.age" "";
        }
      ];
      expect = _config: [ ];
    };

    sops-nix = {
      modules = [
        layouts.btrfs
        ordinary
        (others + "/sops-nix/modules/sops")
        {
          sops.defaultSopsFile = builtins.toFile "secrets.yaml" "";
          sops.validateSopsFiles = false;
          sops.package = pkgs.hello; # it is not built
          sops.age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
          sops.gnupg.sshKeyPaths = [ ];
          sops.secrets.password.neededForUsers = true;
        }
      ];
      expect = _config: [ ];
    };

    # Beside it, what it asks for.
    "sops-nix, with a key that is not kept" = {
      modules = [
        layouts.btrfs
        ordinary
        (others + "/sops-nix/modules/sops")
        {
          sops.defaultSopsFile = builtins.toFile "secrets.yaml" "";
          sops.validateSopsFiles = false;
          sops.package = pkgs.hello; # it is not built
          sops.age.keyFile = "/var/lib/sops/key.txt";
          sops.gnupg.sshKeyPaths = [ ];
          sops.secrets.password = { };
        }
      ];
      errors = [ "secret-keys" ];
      expect = _config: [ ];
    };

    disko = {
      modules = [
        (others + "/disko/module.nix")
        diskoLayout
        ../.
      ];
      expect = config: [
        (is "the root is where disko has it" "/dev/mapper/cryptroot" config.ebb.settings.root.device)
        (is "and of that subvolume" "@" config.ebb.settings.root.subvolume)
        (is "/persist is there in stage 1" true config.fileSystems."/persist".neededForBoot)
      ];
    };

    home-manager = {
      modules = [
        layouts.btrfs
        ordinary
        (others + "/home-manager/nixos")
        {
          home-manager.users.gabriel = {
            home.stateVersion = "24.05";
            home.enableNixpkgsReleaseCheck = false;
            home.persistence."/persist" = {
              directories = [ "Documents" ];
              files = [ ".bash_history" ];
            };
          };
        }
      ];
      expect = config: [
        (has "what home-manager says is kept" "/home/gabriel/Documents" (pathsOf config))
        (has "files, too" "/home/gabriel/.bash_history" (pathsOf config))
      ];
    };

    lanzaboote = {
      modules = [
        layouts.btrfs
        ordinary
        (others + "/lanzaboote/nix/modules/lanzaboote.nix")
        {
          boot.loader.systemd-boot.enable = false;
          boot.lanzaboote = {
            enable = true;
            pkiBundle = "/var/lib/sbctl";
            package = pkgs.hello; # it is not built
          };
          ebb.presets.auto = true;
        }
      ];
      expect = config: [ (has "its keys are kept" "/var/lib/sbctl" (pathsOf config)) ];
    };
  };

  check =
    name: machine:
    let
      inherit (evaluate machine.modules) config;
      failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
      toplevel = config.system.build.toplevel.drvPath;
      wanted = machine.errors or [ ];
    in
    test.under name (
      machine.expect config
      ++ [
        {
          name = "errors";
          ok =
            lib.length failed == lib.length wanted
            && lib.all (name: lib.any (lib.hasPrefix "ebb: ${name}: ") failed) wanted;
          detail = test.show failed;
        }
        (is "no warning of ebb" [ ] (lib.filter (lib.hasPrefix "ebb: ") config.warnings))
      ]
      ++ lib.optional (wanted == [ ]) {
        name = "is a system";
        ok = lib.hasSuffix ".drv" toplevel;
        detail = toplevel;
      }
    );
in
lib.concatLists (
  lib.mapAttrsToList check (lib.filterAttrs (name: _: builtins.pathExists (others + "/${lib.head (lib.splitString "," name)}")) machines)
)
