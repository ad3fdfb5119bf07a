# What a boot leaves alone, and what is there when NixOS is activated. Pure
# functions of the configuration.
{ config, lib }:

let
  inherit (config) fileSystems;
  inherit (config.ebb) root entries persist;

  paths = import ./paths.nix { inherit lib; };

  hasSubvolume =
    fileSystem: name:
    lib.any (option: option == "subvol=${name}" || option == "subvol=/${name}") fileSystem.options;

  rolledBack = lib.optionals (root.kind == "btrfs") (
    [ root.subvolume ] ++ map (also: also.subvolume) (lib.attrValues root.also)
  );

  isBind = fileSystem: lib.any (option: lib.elem option fileSystem.options) [ "bind" "rbind" ];
in
rec {
  mountPointOf = paths.mountPointOf (lib.attrNames fileSystems);

  # Does a path lie on a file system of its own that no boot empties?
  survives =
    path:
    let
      mountPoint = mountPointOf path;
      fileSystem = fileSystems.${mountPoint};
    in
    mountPoint != "/"
    && !(lib.elem fileSystem.fsType [ "tmpfs" "ramfs" "overlay" ])
    && !(lib.any (hasSubvolume fileSystem) rolledBack)
    && (isBind fileSystem -> fileSystem.device != mountPoint && survives fileSystem.device);

  # Is a path in place before NixOS is activated, with what it held before?
  isEarly =
    path:
    let
      mountPoint = mountPointOf path;
    in
    lib.hasPrefix builtins.storeDir path
    || lib.any (store: paths.isIn store path) (lib.attrNames persist)
    || lib.any (entry: paths.isIn entry.path path) entries
    || root.kind == "none" && mountPoint == "/"
    # as NixOS marks what the initrd mounts
    || survives path && lib.elem "x-initrd.mount" fileSystems.${mountPoint}.options;
}
