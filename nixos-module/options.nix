# The options. What they become is in settings.nix, stage-1.nix and stage-2.nix.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) literalExpression mkOption types;

  cfg = config.ebb;

  inherit (import ./types.nix { inherit lib; })
    bytes
    lists
    manners
    mode
    mountOption
    ;

  userType = types.submodule (
    { name, ... }:
    {
      options = {
        home = mkOption {
          type = types.str;
          default = config.users.users.${name}.home or "/home/${name}";
          defaultText = literalExpression "config.users.users.<name>.home";
          example = "/home/gabriel";
          description = "The home directory, which the paths below are relative to.";
        };
      }
      // lists "home";
    }
  );

  storeType = types.submodule {
    options =
      manners
      // lists "root"
      // {
        users = mkOption {
          type = types.attrsOf userType;
          default = { };
          example = {
            gabriel = {
              directories = [ ".ssh" ".mozilla" ];
              files = [ ".bash_history" ];
            };
          };
          description = ''
            What to keep of home directories, by the name of the user. It belongs to the user,
            with mode 0700, files 0600, unless it says otherwise.
          '';
        };
      };
  };

  also = types.submodule {
    options = {
      subvolume = mkOption {
        type = types.str;
        example = "@home";
        description = "The subvolume, below the top-level one.";
      };
      blank = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "@home-blank";
        description = "The subvolume that new ones are snapshots of. `null`: they are empty.";
      };
    };
  };

  rootOptions = {
    kind = mkOption {
      type = types.enum [
        "btrfs"
        "tmpfs"
        "none"
      ];
      default = if (config.fileSystems."/".fsType or "") == "tmpfs" then "tmpfs" else "btrfs";
      defaultText = literalExpression ''if config.fileSystems."/".fsType == "tmpfs" then "tmpfs" else "btrfs"'';
      example = "none";
      description = ''
        What becomes of the root file system at each boot: `btrfs`, it is a fresh subvolume and
        the old one goes to the archive; `tmpfs`, it is empty and in memory; `none`, it is left
        alone, and only the entries are brought into place.
      '';
    };
    device = mkOption {
      type = types.nullOr types.str;
      example = "/dev/mapper/cryptroot";
      defaultText = literalExpression ''config.fileSystems."/".device'';
      description = "The block device of a btrfs root, spelled exactly as in {option}`fileSystems.\"/\".device`.";
    };
    options = mkOption {
      type = types.listOf mountOption;
      example = [ "compress=zstd" "noatime" ];
      defaultText = literalExpression ''config.fileSystems."/".options, without those of systemd'';
      description = "Mount options of the root: the rollback makes the first mount of the file system in a boot.";
    };
    subvolume = mkOption {
      type = types.str;
      defaultText = literalExpression ''the subvol= of config.fileSystems."/".options'';
      example = "nixos/@";
      description = "The subvolume that is the root, below the top-level one.";
    };
    blank = mkOption {
      type = types.str;
      default = "@blank";
      example = "nixos/@blank";
      description = "The subvolume that new roots are snapshots of. Where it does not exist they are empty.";
    };
    archive = mkOption {
      type = types.str;
      default = "@roots";
      example = "nixos/@roots";
      description = "The directory, below the top-level subvolume, where old roots go.";
    };
    also = mkOption {
      type = types.attrsOf also;
      default = { };
      example = {
        home = {
          subvolume = "@home";
          blank = "@home-blank";
        };
      };
      description = ''
        More subvolumes that are fresh at each boot, along with the root. The name is the one
        that the old subvolume has in the archive, beside `root`.
      '';
    };
    keep = {
      count = mkOption {
        type = types.ints.between 0 1000000;
        default = 5;
        example = 20;
        description = "How many of the newest old roots are never deleted.";
      };
      days = mkOption {
        type = types.ints.between 0 1000000;
        default = 30;
        example = 90;
        description = "For how many days, from the day it was archived, an older one is kept.";
      };
      minFreePercent = mkOption {
        type = types.ints.between 0 100;
        default = 10;
        example = 20;
        description = "How much of the file system is to be free; old roots go earlier, the oldest first, when less is.";
      };
    };
    prune = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether old roots that {option}`ebb.root.keep` no longer keeps, and what has been in the
        trash of a store for {option}`ebb.orphans.trashDays`, are deleted, once after each boot and then daily, with idle
        priority. The roots of `ebb roots pin` stay.
      '';
    };
    onFailure = mkOption {
      type = types.enum [
        "continue"
        "emergency"
      ];
      default = "continue";
      example = "emergency";
      description = ''
        What follows when the root could not be made fresh: `continue`, the boot goes on with
        the root that is there, and says so; `emergency`, it stops in the emergency shell (see
        {option}`boot.initrd.systemd.emergencyAccess`).
      '';
    };
    size = mkOption {
      type = types.nullOr (
        types.oneOf [
          bytes
          (types.strMatching "([1-9][0-9]?|100)%" // { description = "share of RAM such as \"33%\""; })
          (types.submodule {
            options = {
              bytes = mkOption {
                type = types.nullOr bytes;
                default = null;
                example = "2G";
                description = "At most this much.";
              };
              ramPercent = mkOption {
                type = types.nullOr (types.ints.between 1 100);
                default = null;
                example = 33;
                description = "At most this share of RAM, in percent.";
              };
            };
          })
        ]
      );
      defaultText = literalExpression ''the size= of config.fileSystems."/".options, else null'';
      example = {
        bytes = "2G";
        ramPercent = 33;
      };
      description = "The size of a tmpfs root: bytes, a share of RAM, or the smaller of both. `null` is half of RAM.";
    };
    mode = mkOption {
      type = types.nullOr mode;
      defaultText = literalExpression ''the mode= of config.fileSystems."/".options, else null'';
      example = "0755";
      description = "The permissions of {file}`/` on a tmpfs root. `null` is 0755.";
    };
    inodes = mkOption {
      type = types.nullOr bytes;
      defaultText = literalExpression ''the nr_inodes= of config.fileSystems."/".options, else null'';
      example = "1M";
      description = "How many files a tmpfs root may have. `null` is the kernel's default, half as many as RAM has pages.";
    };
  };
in
{
  options.ebb = {
    enable = lib.mkEnableOption "ebb: a root file system that is new at every boot, and what is declared here kept";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = literalExpression "pkgs.callPackage ebb/package.nix { }";
      example = literalExpression "inputs.ebb.packages.${pkgs.stdenv.hostPlatform.system}.default";
      description = ''
        The package. It needs the Go of its {file}`go.mod` to be built; on a release of NixOS
        that is older than that, take the package of the flake.
      '';
    };

    root = rootOptions;

    persist = mkOption {
      type = types.attrsOf storeType;
      default = { };
      example = literalExpression ''
        {
          "/persist" = {
            directories = [
              "/var/log"
              "/var/lib/bluetooth"
              { path = "/var/lib/colord"; user = "colord"; group = "colord"; mode = "0700"; }
            ];
            files = [ "/etc/adjtime" ];
            users.gabriel = {
              directories = [ ".ssh" ".mozilla" ".local/state/nvim" ];
              files = [ ".bash_history" ];
            };
          };
        }
      '';
      description = ''
        What is kept, by the store that it is kept in: a directory on a file system that
        survives the boot. The data of {file}`/var/log` in the store {file}`/persist` is
        {file}`/persist/var/log`.
      '';
    };

    mainStore = mkOption {
      type = types.str;
      default =
        let
          stores = lib.attrNames cfg.persist;
        in
        if cfg.persist ? "/persist" || stores == [ ] then "/persist" else lib.head stores;
      defaultText = literalExpression ''"/persist" if ebb.persist has it, else its first store'';
      example = "/persist";
      description = "The store for what ebb keeps without being told: see `keepMachineId`, `keepNixosState` and `presets`.";
    };

    keepMachineId = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether {file}`/etc/machine-id` is kept, unless it is declared anyhow.";
    };

    keepNixosState = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether {file}`/var/lib/nixos` is kept, unless it is declared anyhow: NixOS notes there
        which numbers it has given to users and groups.
      '';
    };

    adopt = {
      files = mkOption {
        type = types.ints.between 0 1099511627776;
        default = 50000;
        example = 1000000;
        description = ''
          How many files one boot copies into the stores at most, when an entry is new and the
          old root has data at its path.
        '';
      };
      copiedBytes = mkOption {
        type = bytes;
        default = "1G";
        example = "10G";
        description = "How many bytes one boot copies for that at most; blocks that can be shared (reflinks) do not count.";
      };
    };

    kernelParams = mkOption {
      type = types.listOf (types.strMatching "ebb\\.[a-z]+(=[^[:space:]\"]*)?");
      default = [ ];
      example = [ "ebb.log=debug" ];
      description = "Kernel parameters of ebb, as in its manual: `ebb.rollback=no`, `ebb.mount=no`, `ebb.log=debug`.";
    };

    extraIgnore = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/home/*/.cache" ];
      description = "Patterns, in the manner of {file}`.gitignore`, of what does not matter when it is lost, so that it is not listed as such.";
    };

    applyOnSwitch = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether a switch to a configuration with new entries brings them into place at once
        (`ebb apply`), before services are restarted. What is no longer declared stays until the
        next boot. A failure never fails the switch.
      '';
    };

    diff = {
      timer = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether `ebb diff --save` notes once a day, in the first store, what the next boot would
          lose.
        '';
      };
      onShutdown = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether the same is noted when the machine goes down, after its services have ended. It
          takes at most 30 seconds.
        '';
      };
    };

    orphans.ignore = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/persist/secrets" ];
      description = ''
        Paths in a store, from the root, that `ebb orphans` does not list although nothing declares
        them: what you have put into the store yourself.
      '';
    };

    orphans.trashDays = mkOption {
      type = types.ints.between 0 1000000;
      default = 30;
      example = 90;
      description = "For how many days what `ebb orphans` has put into the trash of a store stays there.";
    };

    defaultEntries = mkOption {
      type = types.submodule { options = lists "root"; };
      default = { };
      internal = true;
      visible = false;
      description = ''
        Entries for the main store which the user did not ask for. What is declared in
        {option}`ebb.persist`, in any store, wins; what lies in such a directory is left out.
      '';
    };

    replacedFiles = mkOption {
      type = types.listOf types.str;
      internal = true;
      description = "Files that are `sync` unless they say otherwise, since programs replace them by rename: absolute paths.";
    };

    settings = mkOption {
      type = types.attrsOf types.anything;
      readOnly = true;
      internal = true;
      description = "The config, which becomes {file}`/etc/ebb/config.json`.";
    };

    configFile = mkOption {
      type = types.path;
      readOnly = true;
      internal = true;
      description = "The config as a file that `ebb check` has found right.";
    };
  };
}
