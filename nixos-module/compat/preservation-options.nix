# The options of preservation.preserveAt.<store>, by their names there.
{
  lib,
  # config.users.users
  users,
}:

let
  inherit (lib) mkOption types;

  paths = import ../paths.nix { inherit lib; };
  parts = import ./parts.nix { inherit lib; };
  inherit (parts) given;

  groupOf = user: users.${user}.group or "root";

  mountOptions = types.listOf (
    types.coercedTo types.str (name: { inherit name; }) (
      types.submodule {
        options = {
          name = mkOption {
            type = types.str;
            example = "x-gvfs-hide";
            description = "The mount option.";
          };
          value = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "What it is set to, if it is an option with a value.";
          };
        };
      }
    )
  );

  commonMountOptions = mkOption {
    type = mountOptions;
    default = [ ];
    example = [ "x-gvfs-hide" ];
    description = "Mount options of everything here that is bound.";
  };

  permissions = what: owner: mode: parts.permissions what {
    user.default = owner;
    group = {
      default = groupOf owner;
      defaultText = lib.literalExpression "the group of the owner of the list";
    };
    mode.default = mode;
  };

  # An entry: what is "directory" or "file", which is also the option of its path.
  entry =
    what: scope:
    types.submodule (
      { config, options, ... }:
      {
        options = {
          ${what} = mkOption {
            type = types.str;
            description = "The path of the ${what}.";
          };
          how = mkOption {
            type = types.enum (
              [
                "bindmount"
                "symlink"
              ]
              ++ lib.optional (what == "directory") "_intermediate"
            );
            default = "bindmount";
            description = ''
              How it comes into place: a bind mount, or a symbolic link into the store${
                lib.optionalString (what == "directory") "; `_intermediate` is a directory that is made on both sides, and not kept"
              }.
            '';
          };
          configureParent = mkOption {
            type = types.bool;
            default = config.how == "symlink" && config.user != "root" && lib.hasInfix "/" (paths.clean config.${what});
            defaultText = lib.literalExpression ''how == "symlink" && user != "root"'';
            description = "Whether `parent` says what the directory above it is to be like.";
          };
          parent = permissions "the directory above it" scope.owner "0755";
          mountOptions = mkOption {
            type = mountOptions;
            description = "Mount options, if it is bound.";
          };
          createLinkTarget = mkOption {
            type = types.bool;
            default = false;
            description = "Whether an empty ${what} is made in the store for a link to lead to.";
          };
          inInitrd = mkOption {
            type = types.bool;
            default = false;
            description = "Without effect: all is in place before the initrd ends.";
          };
          given = mkOption {
            type = types.raw;
            internal = true;
            description = "What the entry says itself.";
          };
        }
        // permissions "the ${what}" scope.owner (if what == "directory" then "0755" else "0644");

        config = {
          inherit (scope) mountOptions;
          given =
            given { inherit (options) how user group mode; }
            // {
              parent = given { inherit (options.parent) user group mode; };
            };
        };
      }
    );

  lists = scope: example: {
    directories = parts.entries "directory" (entry "directory" scope) {
      apply = map (it: it // { directory = paths.join scope.home it.directory; });
      example = example.directories;
    };
    files = parts.entries "file" (entry "file" scope) {
      apply = map (it: it // { file = paths.join scope.home it.file; });
      example = example.files;
    };
    inherit commonMountOptions;
  };

  user =
    store:
    types.submodule (
      { name, config, ... }:
      {
        options = {
          username = mkOption {
            type = types.passwdEntry types.str;
            default = name;
            description = "The name of the user.";
          };
          home = mkOption {
            type = types.passwdEntry types.path;
            default = users.${config.username}.home or "/home/${config.username}";
            defaultText = lib.literalExpression "config.users.users.<name>.home";
            description = "The home directory, which the paths are relative to.";
          };
        }
        // lists {
          owner = config.username;
          home = toString config.home;
          mountOptions = config.commonMountOptions;
        } {
          directories = [ ".ssh" ];
          files = [ ".bash_history" ];
        };
        config.commonMountOptions = store.commonMountOptions;
      }
    );
in
types.submodule (
  { name, config, ... }:
  {
    options = {
      persistentStoragePath = mkOption {
        type = types.path;
        default = name;
        defaultText = lib.literalExpression "<name>";
        description = "The store.";
      };
      users = mkOption {
        type = types.attrsOf (user config);
        default = { };
        example = {
          butz.directories = [ ".ssh" ];
        };
        description = "What to keep of home directories, by the name of the user.";
      };
    }
    // lists {
      owner = "root";
      home = "/";
      mountOptions = config.commonMountOptions;
    } {
      directories = [ "/var/log" ];
      files = [ "/etc/machine-id" ];
    };
  }
)
