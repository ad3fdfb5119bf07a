# preservation.preserveAt, as configurations for preservation have it, carried out
# by ebb.
{
  config,
  lib,
  ...
}:

let
  cfg = config.preservation;
  inherit (config.users) users;

  paths = import ../paths.nix { inherit lib; };
  modes = import ./modes.nix { inherit lib; };

  scopes = lib.optionals cfg.enable (
    lib.concatLists (
      lib.mapAttrsToList (
        name: store:
        let
          from = "preservation.preserveAt.${builtins.toJSON name}";
        in
        [
          {
            inherit from store;
            lists = store;
            owner = null;
            group = "root";
            home = null;
          }
        ]
        ++ lib.mapAttrsToList (name: lists: {
          from = "${from}.users.${name}";
          inherit store lists;
          inherit (lists) home;
          owner = lists.username;
          group = users.${lists.username}.group or null;
        }) store.users
      ) cfg.preserveAt
    )
  );

  # All that is listed, with a path and a scope; and of that, what is to be kept.
  items = lib.concatMap (
    scope:
    map (it: {
      inherit scope it;
      path = paths.clean it.directory;
      isDirectory = true;
    }) scope.lists.directories
    ++ map (it: {
      inherit scope it;
      path = paths.clean it.file;
      isDirectory = false;
    }) scope.lists.files
  ) scopes;
  kinds = lib.partition (item: item.it.how == "_intermediate") items;
  intermediates = kinds.right;
  kept = kinds.wrong;

  # Who owns something, as far as that is said. To name a user does not change
  # the group.
  ownerOf =
    item: it: given:
    lib.optionalAttrs given.user { inherit (it) user; }
    // lib.optionalAttrs (given.user || given.group) {
      group = if given.group then it.group else item.scope.group;
    }
    // lib.optionalAttrs given.mode { mode = modes.toOctal "${item.scope.from}: ${item.path}" it.mode; };

  # What a bind mount can have (mount(8), FILESYSTEM-INDEPENDENT MOUNT OPTIONS),
  # and what is for programs. libmount itself carries out X-mount.
  isPassedOn =
    option:
    lib.elem option [
      "ro"
      "rw"
      "exec"
      "noexec"
      "suid"
      "nosuid"
      "dev"
      "nodev"
      "atime"
      "noatime"
      "relatime"
      "norelatime"
      "strictatime"
      "nostrictatime"
      "diratime"
      "nodiratime"
      "symfollow"
      "nosymfollow"
    ]
    || lib.hasPrefix "x-" option && !(lib.hasPrefix "x-systemd." option);

  # Those that every entry has there: ebb binds anyhow, and fstrim(8) looks at a
  # file system once.
  isUsual = option: lib.elem option [ "bind" "X-fstrim.notrim" ];

  optionsOf =
    it: map (option: option.name + lib.optionalString (option.value != null) "=${option.value}") it.mountOptions;

  entryOf =
    item:
    let
      inherit (item) it scope;
    in
    {
      inherit (scope) from owner home;
      inherit (item) path isDirectory;
      store = scope.store.persistentStoragePath;
      options = lib.unique (lib.filter isPassedOn (optionsOf it));
      said =
        lib.optionalAttrs it.given.how { how = if it.how == "bindmount" then "bind" else it.how; }
        // ownerOf item it it.given
        // lib.filterAttrs (_: value: value != { }) {
          parent = lib.optionalAttrs it.configureParent (ownerOf item it.parent it.given.parent);
        };
    };

  inStore = item: paths.join (toString item.scope.store.persistentStoragePath) item.path;
  attributesOf = it: { inherit (it) user group mode; };

  # What is not kept, but is to be there.
  rules = lib.mkMerge (
    map (item: {
      ${item.path}.d = attributesOf item.it;
      ${inStore item}.d = attributesOf item.it;
    }) intermediates
    ++ map (item: { ${inStore item}.f = attributesOf item.it; }) (
      lib.filter (
        item:
        !item.isDirectory
        && item.it.how == "symlink"
        && item.it.createLinkTarget
        && item.path != "/etc/machine-id"
      ) kept
    )
  );

  # "of /a, /b and 3 more"
  few =
    items:
    let
      names = lib.unique (map (item: item.path) items);
      more = lib.length names - 3;
    in
    "of ${lib.concatStringsSep ", " (lib.take 3 names)}${
      lib.optionalString (more > 0) " and ${toString more} more"
    }";

  about = text: items: lib.optional (items != [ ]) (text items);
  isMachineId = item: item.path == "/etc/machine-id";

  dropped = it: lib.filter (option: !(isUsual option || isPassedOn option || option == "defaults")) (optionsOf it);
  withDropped = lib.filter (item: item.it.how == "bindmount" && dropped item.it != [ ]) kept;

  notes =
    about (items: "inInitrd (${few items}): everything is in place before the initrd ends") (
      lib.filter (item: item.it.inInitrd) items
    )
    ++ about (
      items:
      "mountOptions ${
        lib.concatStringsSep ", " (lib.unique (lib.concatMap (item: dropped item.it) items))
      } (${few items}): a bind mount has no such option, or systemd has no unit for it"
    ) withDropped
    ++ about (items: "createLinkTarget (${few items}): the directory behind a link is always made") (
      lib.filter (item: item.isDirectory && item.it.how == "symlink" && item.it.createLinkTarget) kept
    )
    ++ about (_: "how (of /etc/machine-id): it is a copy that systemd can commit to, and goes back into the store") (
      lib.filter (item: isMachineId item && item.it.given.how) kept
    )
    ++ lib.optionals (lib.any isMachineId kept) (
      lib.optional (lib.elem "systemd-machine-id-commit.service" config.systemd.suppressedSystemUnits) "systemd.suppressedSystemUnits (systemd-machine-id-commit.service): it does not fail any more"
      ++ lib.optional isTurned "systemd.services.systemd-machine-id-commit: it is for /etc/machine-id itself again"
    );

  # Is what commits the id of the machine told to look into a store?
  commit = config.systemd.services.systemd-machine-id-commit or { };
  isTurned = lib.any (
    item: lib.elem (inStore item) (lib.toList (commit.unitConfig.ConditionPathIsMountPoint or [ ]))
  ) (lib.filter isMachineId kept);
in
{
  imports = [ ./common.nix ];

  options.preservation = {
    enable = lib.mkEnableOption "what is declared here, with the names that preservation has for it, to be kept by ebb";

    preserveAt = lib.mkOption {
      type = lib.types.attrsOf (import ./preservation-options.nix { inherit lib users; });
      default = { };
      example = {
        "/persist" = {
          directories = [ "/var/log" ];
          files = [
            {
              file = "/etc/ssh/ssh_host_ed25519_key";
              how = "symlink";
            }
          ];
          users.butz.directories = [ ".ssh" ];
        };
      };
      description = ''
        What to keep, by the store that it is kept in, with the names that preservation has for
        it. It becomes {option}`ebb.persist`.
      '';
    };
  };

  config = lib.mkMerge [
    {
      ebb.compat.preservation = {
        active = cfg.enable;
        entries = map entryOf kept;
        inherit notes;
      };
    }
    (lib.mkIf cfg.enable {
      systemd.tmpfiles.settings.ebb-preservation = rules;

      # Units of other modules name these to come behind, or before, them.
      boot.initrd.systemd.targets.initrd-preservation = {
        description = "What is preserved, in place";
        after = [ "ebb-mount.service" ];
        before = [ "initrd.target" ];
        wantedBy = [ "initrd.target" ];
      };
      systemd.targets.preservation = {
        description = "What is preserved, in place";
        before = [ "sysinit.target" ];
        wantedBy = [ "sysinit.target" ];
      };
    })
  ];
}
