# What environment.persistence.<store>, its users.<name>, and home.persistence.<store>
# in home-manager have in common: the option names of impermanence.
{
  lib,
  # the store's attribute name, for messages
  name,
  # the store's own options, those that entries take their defaults from
  store,
  # who owns what is in these lists, and where relative paths begin
  user,
  group,
  home ? null,
  # below users.<name> there are the two lists only
  isUser ? false,
}:

let
  inherit (lib) mkOption types;

  paths = import ../paths.nix { inherit lib; };
  parts = import ./parts.nix { inherit lib; };
  inherit (parts) given;

  at = entry: path: paths.join (if entry.home == null then "/" else toString entry.home) path;

  removed = option: instead: lib.mkRemovedOptionModule [ option ] ''
    ebb: compat: persistence."${name}": ${instead}
  '';

  # Of every entry.
  common = {
    persistentStoragePath = mkOption {
      type = types.path;
      default = store.persistentStoragePath;
      defaultText = lib.literalExpression "environment.persistence.<name>.persistentStoragePath";
      description = "The store of this entry.";
    };
    home = mkOption {
      type = types.nullOr types.path;
      default = home;
      internal = true;
      description = "The home directory that it lies in.";
    };
    enableDebugging = mkOption {
      type = types.bool;
      default = store.enableDebugging;
      internal = true;
      description = "Whether it is to be talked about at length.";
    };
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      internal = true;
      description = "Removed options make one.";
    };
    given = mkOption {
      type = types.raw;
      internal = true;
      description = "What the entry says itself.";
    };
  };

  permissions = what: parts.permissions what {
    user.default = user;
    group = {
      type = types.nullOr types.str;
      default = group;
    };
    mode = {
      default = "0755";
      example = "0700";
      description = "The permissions of ${what}, when it has to be made: octal, or as {manpage}`chmod(1)` has them.";
    };
  };

  defaultPermissions = lib.mapAttrs (_: option: option // { internal = true; }) (
    permissions "directories above it"
  );

  manners = {
    hideMount = mkOption {
      type = types.bool;
      default = store.hideMounts;
      defaultText = lib.literalExpression "environment.persistence.<name>.hideMounts";
      example = true;
      description = "Whether file managers hide the mount.";
    };
    allowTrash = mkOption {
      type = types.bool;
      default = store.allowTrash;
      defaultText = lib.literalExpression "environment.persistence.<name>.allowTrash";
      example = true;
      description = "Whether file managers keep a trash folder on the mount.";
    };
  };

  absolute = mkOption {
    type = types.path;
    internal = true;
    description = "The absolute path.";
  };

  directory = types.submodule (
    { config, options, ... }:
    {
      imports = [
        (removed "method" "directories are bound, and need no method; take the line out. A link into the store is, with ebb, ebb.persist.<store>.directories = [ { path = ...; how = \"symlink\"; } ].")
      ];
      options =
        common
        // permissions "the directory"
        // manners
        // {
          directory = mkOption {
            type = types.str;
            description = "The path of the directory.";
          };
          dirPath = absolute;
          defaultPerms = defaultPermissions;
        };
      config = {
        dirPath = at config config.directory;
        given = given { inherit (options) user group mode; };
      };
    }
  );

  file = types.submodule (
    { config, options, ... }:
    {
      options = common // {
        file = mkOption {
          type = types.str;
          description = "The path of the file.";
        };
        method = mkOption {
          type = types.enum [
            "auto"
            "symlink"
          ];
          default = "auto";
          description = "How it comes into place: `symlink`, a link into the store; `auto`, as ebb does it.";
        };
        parentDirectory =
          lib.mapAttrs (_: option: option // { internal = true; }) (common // manners)
          // permissions "the directory that the file lies in"
          // {
            directory = mkOption {
              type = types.str;
              internal = true;
              description = "Its path.";
            };
            dirPath = absolute;
            defaultPerms = defaultPermissions;
          };
        filePath = absolute;
      };
      config = {
        filePath = at config config.file;
        parentDirectory = {
          directory = lib.mkDefault (dirOf config.file);
          dirPath = at config (dirOf config.file);
          home = lib.mkDefault config.home;
          persistentStoragePath = lib.mkDefault config.persistentStoragePath;
          given = { };
        };
        given = given { inherit (options.parentDirectory) user group mode; };
      };
    }
  );
in
{
  imports =
    if isUser then
      [
        (removed "home" "the home directory is users.users.<name>.home, and this option without effect; take the line out.")
      ]
    else
      [
        (removed "allowOther" "what is bound is there for everybody whom its permissions let in; take the line out.")
        (removed "removePrefixDirectory" "entries lie in the store as they lie in the home directory. Move their data to <store>/<home>/<path>, and take the line out.")
        (removed "defaultDirectoryMethod" "directories are bound, and need no method; take the line out.")
      ];

  options = {
    directories = parts.entries "directory" directory {
      example = if home == null then [ "/var/log" "/var/lib/bluetooth" ] else [ "Documents" ];
    };
    files = parts.entries "file" file {
      example = if home == null then [ "/etc/machine-id" ] else [ ".screenrc" ];
    };
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      internal = true;
      description = "Removed options make one.";
    };
  }
  // lib.optionalAttrs (!isUser) {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to keep anything in this store.";
    };
    persistentStoragePath = mkOption {
      type = types.path;
      default = name;
      defaultText = lib.literalExpression "<name>";
      description = "The store.";
    };
    hideMounts = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether file managers hide the mounts.";
    };
    allowTrash = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether file managers keep a trash folder on each of the mounts.";
    };
    enableDebugging = mkOption {
      type = types.bool;
      default = false;
      internal = true;
      description = "Whether to talk at length: ebb.log=debug.";
    };
    enableWarnings = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to say what has no meaning any more.";
    };
  };
}
