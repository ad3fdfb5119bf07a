# Which file systems have to be there in the initrd: those of the stores, /nix,
# and those that an entry in a home directory lies on. What is mounted later
# would hide the entries.
{ config, lib, ... }:

let
  cfg = config.ebb;
  paths = import ./paths.nix { inherit lib; };

  # What is declared, and not what presets add: those look at services, which
  # may look at file systems.
  declared = lib.concatLists (
    lib.mapAttrsToList (
      _: store:
      map (entry: entry.path) (store.directories ++ store.files)
      ++ lib.concatMap (
        user: map (entry: paths.join user.home entry.path) (user.directories ++ user.files)
      ) (lib.attrValues store.users)
    ) cfg.persist
  );

  isNeeded =
    mountPoint:
    mountPoint == "/nix"
    || lib.any (paths.isIn mountPoint) (lib.attrNames cfg.persist)
    || lib.any (paths.isBelow mountPoint) declared;
in
{
  # An option of the same name merges with that of NixOS. To define
  # fileSystems."/persist" instead would make one where there is none.
  options.fileSystems = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule (
        { config, ... }:
        {
          config = lib.mkIf (cfg.enable && config.mountPoint != "/" && isNeeded config.mountPoint) {
            neededForBoot = true;
          };
        }
      )
    );
  };
}
