# Stores, and what is kept in them.
{
  layouts,
  lib,
  parts,
  test,
  ...
}:

let
  inherit (test) is has hasNot contains;
  inherit (parts)
    gabriel
    minimal
    unit
    store
    pathsOf
    entry
    ;
in
{
  "two stores" = {
    modules = [
      layouts.btrfs
      minimal
      {
        fileSystems."/cache" = layouts.subvolume "/dev/disk/by-label/nixos" "@cache";
        ebb.persist."/cache" = {
          hidden = true;
          directories = [ "/var/cache/big" ];
          users.gabriel.directories = [ ".cache" ];
        };
      }
    ];
    expect = config: [
      (is "the defaults go to the main one" [ "/cache" "/persist" ] (
        lib.attrNames config.ebb.settings.stores
      ))
      (has "the numbers of users are in the main one" "/var/lib/nixos" (
        pathsOf (store config).directories
      ))
      (is "what is said of a store is for its entries" true
        (lib.findFirst (e: e.path == "/home/gabriel/.cache") { } config.ebb.settings.stores."/cache".directories)
        .hidden
      )
      (is "the other is there in stage 1, too" true config.fileSystems."/cache".neededForBoot)
      (contains "and waited for" "sysroot-cache.mount" (unit config "ebb-mount.service"))
    ];
  };

  "another home, and another store" = {
    modules = [
      layouts.btrfs
      gabriel
      {
        imports = [ ../../. ];
        fileSystems."/state" = layouts.subvolume "/dev/disk/by-label/nixos" "@state";
        users.users.gabriel.home = "/home/somewhere/else";
        ebb.enable = true;
        ebb.persist."/state".users.gabriel.directories = [ ".ssh" ];
      }
    ];
    expect = config: [
      (is "paths are below the home" [ "/home/somewhere/else/.ssh" ] (
        lib.filter (lib.hasPrefix "/home") (
          map (e: e.path) config.ebb.settings.stores."/state".directories
        )
      ))
      (is "the only store is the main one" "/state" config.ebb.mainStore)
      (has "and has the defaults" "/etc/machine-id" (pathsOf config.ebb.settings.stores."/state".files))
    ];
  };

  "nothing by default" = {
    modules = [
      layouts.btrfs
      minimal
      {
        ebb.keepMachineId = false;
        ebb.keepNixosState = false;
        # Which has the numbers of users in it.
        ebb.persist."/persist".directories = lib.mkForce [ "/var/lib" ];
        ebb.persist."/persist".files = lib.mkForce [ ];
      }
    ];
    expect = config: [
      (is "no file" [ "/home/gabriel/.bash_history" ] (pathsOf (store config).files))
      (hasNot "no directory" "/var/lib/nixos" (pathsOf (store config).directories))
    ];
  };

  "a hundred entries of two users" = {
    modules = [
      layouts.btrfs
      minimal
      {
        users.users.anna = {
          isNormalUser = true;
          hashedPassword = "$y$j9T$salt$hash";
          uid = 1001;
        };
        ebb.persist."/persist" = {
          directories = map (n: "/var/lib/service-${toString n}") (lib.range 1 40);
          users.gabriel.directories = map (n: "project-${toString n}") (lib.range 1 30);
          users.anna.directories = map (n: "project-${toString n}") (lib.range 1 30);
        };
      }
    ];
    expect = config: [
      (is "none is lost" 100 (
        lib.length (
          lib.filter (path: lib.hasInfix "/service-" path || lib.hasInfix "/project-" path) (
            pathsOf (store config).directories
          )
        )
      ))
      (is "each belongs to its user" 30 (
        lib.count (entry: (entry.uid or null) == 1001) (store config).directories
      ))
    ];
  };
}
