# environment.persistence, as configurations for impermanence have it, carried out
# by ebb.
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (config.users) users;

  modes = import ./modes.nix { inherit lib; };

  isEnabled = lib.filterAttrs (_: store: store.enable);
  stores = isEnabled config.environment.persistence;
  homes = config.home-manager.users or { };

  # All pairs of lists, with whose they are and where they are said.
  scopes =
    lib.concatLists (
      lib.mapAttrsToList (
        name: store:
        let
          from = "environment.persistence.${builtins.toJSON name}";
        in
        [
          {
            inherit from store;
            lists = store;
            owner = null;
            group = "root";
          }
        ]
        ++ lib.mapAttrsToList (user: lists: {
          from = "${from}.users.${user}";
          inherit lists store;
          owner = user;
          group = users.${user}.group or null;
        }) store.users
      ) stores
    )
    ++ lib.concatLists (
      lib.mapAttrsToList (
        user: its:
        lib.mapAttrsToList (name: store: {
          from = "home-manager.users.${user}.home.persistence.${builtins.toJSON name}";
          inherit store;
          lists = store;
          owner = its.home.username;
          group = null;
        }) (isEnabled (its.home.persistence or { }))
      ) homes
    );

  # Who owns something, as far as that is said. To name a user does not change
  # the group.
  ownerOf =
    scope: path: it: given:
    lib.optionalAttrs given.user { inherit (it) user; }
    // lib.optionalAttrs (given.user || given.group) {
      group = if given.group then it.group else scope.group;
    }
    // lib.optionalAttrs given.mode { mode = modes.toOctal "${scope.from}: ${path}" it.mode; };

  directoryOf = scope: it: {
    inherit (scope) from owner;
    inherit (it) home;
    store = it.persistentStoragePath;
    path = it.dirPath;
    isDirectory = true;
    hidden = it.hideMount;
    trash = it.allowTrash;
    said = ownerOf scope it.dirPath it it.given;
  };

  fileOf = scope: it: {
    inherit (scope) from owner;
    inherit (it) home;
    store = it.persistentStoragePath;
    path = it.filePath;
    isDirectory = false;
    hidden = scope.store.hideMounts;
    said =
      lib.optionalAttrs (it.method == "symlink") { how = "symlink"; }
      // lib.filterAttrs (_: value: value != { }) {
        parent = ownerOf scope it.filePath it.parentDirectory it.given;
      };
  };

  entries = lib.concatMap (
    scope: map (directoryOf scope) scope.lists.directories ++ map (fileOf scope) scope.lists.files
  ) scopes;

  ofAll = what: lib.concatMap what scopes;
  isAsked = what: lib.any (scope: scope.store.${what}) scopes;
in
{
  imports = [ ./common.nix ];

  # It declares home.persistence with names of its own.
  disabledModules = [ ../home-manager.nix ];

  options.environment.persistence = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule (
        { name, config, ... }:
        let
          store = config;
          storeName = name;
        in
        {
          imports = [
            (import ./impermanence-options.nix {
              inherit lib name store;
              user = "root";
              group = "root";
            })
          ];
          options.users = lib.mkOption {
            type = lib.types.attrsOf (
              lib.types.submodule (
                { name, ... }:
                import ./impermanence-options.nix {
                  inherit lib store;
                  name = "${storeName}\".users.\"${name}";
                  isUser = true;
                  user = name;
                  group = users.${name}.group or null;
                  home = users.${name}.home or "/home/${name}";
                }
              )
            );
            default = { };
            example = {
              bird = {
                directories = [ "Documents" ];
                files = [ ".screenrc" ];
              };
            };
            description = "What to keep of home directories, by the name of the user: paths are relative to the home directory.";
          };
        }
      )
    );
    default = { };
    example = {
      "/persist" = {
        hideMounts = true;
        directories = [ "/var/log" ];
        files = [ "/etc/machine-id" ];
        users.bird.directories = [ "Documents" ];
      };
    };
    description = ''
      What to keep, by the store that it is kept in, with the names that impermanence has for
      it. It becomes {option}`ebb.persist`.
    '';
  };

  config = lib.mkMerge [
    (lib.optionalAttrs (options ? home-manager.sharedModules) {
      home-manager.sharedModules = [ ./home-manager.nix ];
    })
    {
      ebb.compat.impermanence = {
        active = entries != [ ];
        quiet = !(isAsked "enableWarnings");
        inherit entries;
      };

      assertions =
        ofAll (scope: scope.lists.assertions) ++ lib.concatMap (it: it.assertions) (ofAll (scope: scope.lists.directories));
    }
    (lib.mkIf (entries != [ ]) {
      ebb.kernelParams = lib.mkIf (isAsked "enableDebugging") [ "ebb.log=debug" ];

      # Scripts of other modules name these to come behind them: all is in place
      # before the first.
      system.activationScripts = {
        createPersistentStorageDirs = {
          deps = [
            "users"
            "groups"
          ];
          text = "";
        };
        persist-files = {
          deps = [ "createPersistentStorageDirs" ];
          text = "";
        };
      };
    })
  ];
}
