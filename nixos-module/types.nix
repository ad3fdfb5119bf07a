# The types of entries, which the options of this module and those that it
# declares in home-manager have in common.
{ lib }:

let
  inherit (lib) literalExpression mkOption types;

  mode = types.strMatching "[0-7]{3,4}" // {
    description = "octal mode as a string";
  };
  # chown(2): the largest number stands for "none".
  id = types.ints.between 0 4294967294;
  bytes = types.either types.ints.positive (types.strMatching "[1-9][0-9]*[KMGT]?") // {
    description = "number of bytes, or a string such as \"2G\" (K, M, G, T: powers of 1024)";
  };
  mountOption = types.strMatching "[^[:space:],\"\\\\]+" // {
    description = "one mount option";
  };

  owner = what: {
    user = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "colord";
      description = "The owner of ${what}, by name. `null` is root or, below `users`, that user.";
    };
    group = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "colord";
      description = "The group of ${what}, by name. `null` is the primary group of the owner.";
    };
    uid = mkOption {
      type = types.nullOr id;
      default = null;
      example = 1000;
      description = ''
        The owner of ${what}, by number, which wins over a name. `null` is the number that
        {option}`users.users` has for the name; where it has none, the name is looked up when
        the machine boots.
      '';
    };
    gid = mkOption {
      type = types.nullOr id;
      default = null;
      example = 100;
      description = "The group of ${what}, by number, which wins over a name. `null` is as for `uid`.";
    };
    mode = mkOption {
      type = types.nullOr mode;
      default = null;
      example = "0700";
      description = "The permissions of ${what}.";
    };
  };

  # What an entry may say for itself, and a store for all its entries.
  manners = {
    hidden = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = "Whether file managers hide the mount (`x-gvfs-hide`). `null` is as the store says, else no.";
    };
    trash = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = "Whether file managers keep a trash folder on the mount (`x-gvfs-trash`). `null` is as the store says, else no.";
    };
    options = mkOption {
      type = types.listOf mountOption;
      default = [ ];
      example = [ "noexec" "nosuid" ];
      description = ''
        Options of the bind mount, as in {manpage}`mount(8)` under
        `FILESYSTEM-INDEPENDENT MOUNT OPTIONS`, and any that begin with `x-`. Those of the
        store come first.
      '';
    };
  };

  entryOptions = what: {
    options =
      owner "the ${what} in the store, when it has to be made; what exists is never changed"
      // manners
      // {
        path = mkOption {
          type = types.str;
          example = if what == "file" then "/etc/adjtime" else "/var/lib/bluetooth";
          description = "The ${what}: an absolute path or, below `users`, one that is relative to the home directory.";
        };
        how = mkOption {
          type = types.nullOr (
            types.enum (
              [
                "bind"
                "symlink"
              ]
              ++ lib.optional (what == "file") "sync"
            )
          );
          default = null;
          example = "symlink";
          description = ''
            How it comes into place: `bind`, a bind mount; `symlink`, a symbolic link into the
            store${
              lib.optionalString (
                what == "file"
              ) "; `sync`, a copy that is copied back when it changes and at shutdown, for files that programs replace by renaming another one over them"
            }. `null` is `bind`${
              lib.optionalString (
                what == "file"
              ) ", but `sync` for {file}`/etc/machine-id` and {file}`/etc/adjtime`, and `symlink` for the host keys of {option}`services.openssh`"
            }.
          '';
        };
        parent = mkOption {
          type = types.submodule { options = owner "directories that have to be made above the ${what}"; };
          default = { };
          example = {
            user = "postgres";
            mode = "0750";
          };
          description = ''
            What directories above the ${what} are to be like when they have to be made: on the
            new root they are as in the store, if it has them. Below `users` they belong to the
            user. {file}`/var`, {file}`/etc` and their like stay root's.
          '';
        };
        nodatacow = mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = "Whether a ${what} that has to be made is without copy-on-write (`chattr +C`), for databases and disk images on btrfs.";
        };
        required = mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = "Whether the boot stops in the emergency shell when the ${what} cannot be brought into place. Otherwise it goes on, and says so.";
        };
      }
      // lib.optionalAttrs (what == "directory") {
        subvolume = mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = "Whether a directory that has to be made is a btrfs subvolume, with snapshots of its own.";
        };
      };
  };

  entries =
    what:
    types.listOf (types.coercedTo types.str (path: { inherit path; }) (types.submodule (entryOptions what)));

  lists = where: {
    directories = mkOption {
      type = entries "directory";
      default = [ ];
      example =
        if where == "home" then
          [ ".ssh" ".mozilla" ]
        else
          literalExpression ''
            [
              "/var/log"
              { path = "/var/lib/colord"; user = "colord"; group = "colord"; mode = "0700"; }
            ]
          '';
      description = "Directories to keep: paths, or sets with more about them.";
    };
    files = mkOption {
      type = entries "file";
      default = [ ];
      example = if where == "home" then [ ".bash_history" ] else [ "/etc/adjtime" ];
      description = ''
        Files to keep: paths, or sets with more about them. Where a program replaces the file
        by renaming another one over it, which no mount point allows, say
        `how = "sync"`, or keep the directory.
      '';
    };
  };
in
{
  inherit
    bytes
    lists
    manners
    mode
    mountOption
    ;
}
