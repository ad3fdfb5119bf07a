# The config: from the options to JSON, and checked while the system is built.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:

let
  cfg = config.ebb;
  inherit (cfg) root;

  paths = import ./paths.nix { inherit lib; };

  rootFileSystem = config.fileSystems."/" or { options = [ ]; };

  # The value of an option of the root's file system, null where it has none.
  rootOption =
    name:
    let
      found = lib.filter (lib.hasPrefix "${name}=") rootFileSystem.options;
    in
    if found == [ ] then null else lib.removePrefix "${name}=" (lib.last found);

  # Those that are for systemd, or said elsewhere in the config.
  isSaidElsewhere =
    option:
    lib.hasPrefix "x-" option
    || option == "defaults"
    || lib.any (name: lib.hasPrefix "${name}=" option) (
      if root.kind == "tmpfs" then [ "size" "mode" "nr_inodes" ] else [ "subvol" "subvolid" ]
    );

  # systemd itself turns the tags of an fstab into these names
  # (systemd.mount(5), "FSTAB").
  deviceOfTag =
    device:
    let
      tag = builtins.match "(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)" device;
    in
    if tag == null then
      device
    else
      "/dev/disk/by-${lib.toLower (lib.head tag)}/${lib.replaceStrings [ "\"" ] [ "" ] (lib.last tag)}";

  device =
    if (rootFileSystem.device or null) != null then
      deviceOfTag rootFileSystem.device
    else if (rootFileSystem.label or null) != null then
      "/dev/disk/by-label/${rootFileSystem.label}"
    else
      null;

  entriesOf = import ./entries.nix {
    inherit lib;
    inherit (config.users) users groups;
    inherit (cfg) replacedFiles;
    # ssh-keygen makes a missing key through a link, but cannot replace a mount
    # point.
    linkedFiles = lib.concatMap (key: [ key.path "${key.path}.pub" ]) (
      import ./host-keys.nix { inherit config lib; }
    );
  };

  declared = entriesOf.declared cfg.persist;

  defaults = entriesOf.defaults {
    inherit (cfg) persist mainStore defaultEntries;
    inherit declared;
    isKept = (import ./kept.nix { inherit config lib; }).survives;
  };

  # Where the root is fresh, no store may be a mere directory of it. Where it is
  # left alone one may, if no file system is declared there: otherwise something
  # else, a rollback of the user's own say, could throw it away with the root.
  isMounted =
    store:
    root.kind == "none" && paths.mountPointOf (lib.attrNames config.fileSystems) store != "/";

  withoutNull = lib.filterAttrs (_: value: value != null);

  sizeSetting =
    if lib.isAttrs root.size then
      withoutNull {
        inherit (root.size) bytes;
        ram_percent = root.size.ramPercent;
      }
    else
      root.size;

  rootSettings = {
    btrfs = withoutNull {
      inherit (root)
        device
        subvolume
        blank
        archive
        ;
      options = nonEmptyOrNull root.options;
      also = nonEmptyOrNull (
        lib.mapAttrsToList (
          name: also:
          withoutNull {
            inherit name;
            inherit (also) subvolume blank;
          }
        ) root.also
      );
      keep = {
        inherit (root.keep) count days;
        min_free_percent = root.keep.minFreePercent;
      };
    };
    tmpfs = withoutNull {
      inherit (root) mode inodes;
      size = sizeSetting;
      options = nonEmptyOrNull root.options;
    };
    none = { };
  };

  nonEmptyOrNull = list: if list == [ ] then null else list;

  # The machine that builds may not be of the kind that it builds for.
  checker =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      cfg.package
    else
      pkgs.buildPackages.callPackage ../package.nix { };

  # An error here names the place in the document, and ends the build: such a
  # config never becomes a generation.
  checked =
    document:
    pkgs.runCommandLocal "ebb-config.json"
      {
        inherit document;
        passAsFile = [ "document" ];
        nativeBuildInputs = [ checker ];
      }
      ''
        ebb check "$documentPath"
        cp "$documentPath" "$out"
      '';
in
{
  options.ebb.entries = lib.mkOption {
    type = lib.types.listOf lib.types.raw;
    readOnly = true;
    internal = true;
    description = "All entries, as entries.nix resolves them.";
  };

  config.ebb = {
    entries = declared ++ defaults;

    # hwclock(8) writes a new one and renames it
    replacedFiles = [ "/etc/adjtime" ];

    root = {
      device = lib.mkDefault device;
      options = lib.mkDefault (lib.filter (option: !(isSaidElsewhere option)) rootFileSystem.options);
      subvolume = lib.mkDefault (lib.removePrefix "/" (if rootOption "subvol" == null then "@" else rootOption "subvol"));
      size = lib.mkDefault (if rootOption "size" == null then null else lib.toUpper (rootOption "size"));
      mode = lib.mkDefault (rootOption "mode");
      inodes = lib.mkDefault (if rootOption "nr_inodes" == null then null else lib.toUpper (rootOption "nr_inodes"));
    };

    settings = {
      version = 1;
      root = {
        inherit (root) kind;
        on_failure = root.onFailure;
      }
      // rootSettings.${root.kind};
      stores = entriesOf.toSettings isMounted (
        lib.unique (lib.attrNames cfg.persist ++ map (entry: entry.store) defaults)
      ) cfg.entries;
      adopt = {
        inherit (cfg.adopt) files;
        copied_bytes = cfg.adopt.copiedBytes;
      };
    };

    configFile = checked (builtins.toJSON cfg.settings);
  };
}
