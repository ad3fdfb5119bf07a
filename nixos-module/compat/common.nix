# What the modules for other projects' configurations have in common: their
# entries, whole, become ebb.persist, and what is to be said about them is said
# once, in one warning.
{
  config,
  lib,
  options,
  ...
}:

let
  cfg = config.ebb;
  projects = lib.filterAttrs (_: project: project.active) cfg.compat;
  isActive = projects != { };

  paths = import ../paths.nix { inherit lib; };

  entries = lib.imap0 (
    index: entry:
    entry
    // {
      inherit index;
      store = paths.clean (toString entry.store);
      path = paths.clean entry.path;
      home = if entry.home == null then null else paths.clean (toString entry.home);
    }
  ) (lib.concatMap (project: project.entries) (lib.attrValues projects));

  # Of entries that are one too many for ebb those are left out without which all
  # is as it was: the same said twice, and what lies in an entry of its own store,
  # for the data of the one is a part of the other's. What is wrong in another way
  # is left in: ebb itself says what.
  keyOf = entry: "${entry.store}:${entry.path}:${lib.boolToString entry.isDirectory}";
  byKey = lib.groupBy keyOf entries;
  firsts = lib.mapAttrsToList (_: lib.head) byKey;
  repeated = lib.filter (same: lib.any (entry: meaning entry != meaning (lib.head same)) same) (
    lib.attrValues byKey
  );
  meaning =
    entry:
    removeAttrs entry [
      "from"
      "index"
    ];

  byPath = lib.groupBy (entry: entry.path) firsts;
  around =
    entry: lib.concatMap (path: byPath.${path} or [ ]) (lib.reverseList (paths.ancestors entry.path));
  isWithin =
    entry:
    let
      nearest = lib.head (around entry);
    in
    around entry != [ ] && nearest.isDirectory && nearest.store == entry.store;
  within = lib.filter isWithin firsts;

  # In the order in which they are said.
  chosen = lib.filter (
    entry: !(isWithin entry) && entry.index == (lib.head byKey.${keyOf entry}).index
  ) entries;

  # Where what makes this machine the one that it is goes, or else most of all;
  # what ebb adds to it belongs there, too.
  stores = lib.groupBy (entry: entry.store) chosen;
  mainStores =
    lib.concatMap (path: map (entry: entry.store) (byPath.${path} or [ ])) [
      "/etc/machine-id"
      "/var/lib/nixos"
      "/var/log"
    ]
    ++ lib.sort (a: b: lib.length stores.${a} > lib.length stores.${b}) (lib.attrNames stores);

  sshHostKeys = lib.concatMap (key: [ key.path "${key.path}.pub" ]) (
    import ../host-keys.nix { inherit config lib; }
  );

  # The id of the machine is ebb's to handle, whatever is said of it.
  sayingOf = entry: if entry.path == "/etc/machine-id" then removeAttrs entry.said [ "how" ] else entry.said;

  isBound =
    entry:
    let
      how = (sayingOf entry).how or null;
    in
    how == "bind"
    || how == null && (entry.isDirectory || !(lib.elem entry.path (cfg.replacedFiles ++ sshHostKeys)));

  homeOf = user: paths.clean (config.users.users.${user}.home or "/home/${user}");
  isInHome =
    entry:
    entry.owner != null
    && entry.home == homeOf entry.owner
    && paths.isBelow entry.home entry.path;

  # An entry in a home directory other than its owner's is said in full.
  fullOwner =
    entry:
    let
      user = entry.said.user or entry.owner;
    in
    {
      inherit user;
      mode = entry.said.mode or (if entry.isDirectory then "0700" else "0600");
      parent = { inherit user; } // entry.said.parent or { };
    };

  declaration =
    entry:
    sayingOf entry
    // lib.optionalAttrs (entry.owner != null && !(isInHome entry)) (fullOwner entry)
    // {
      path = if isInHome entry then lib.removePrefix "${entry.home}/" entry.path else entry.path;
    }
    // lib.optionalAttrs (isBound entry) (
      lib.filterAttrs (_: isSet: isSet) {
        hidden = entry.hidden or false;
        trash = entry.trash or false;
      }
      // lib.filterAttrs (_: options: options != [ ]) { options = entry.options or [ ]; }
    );

  listsOf =
    those:
    let
      parts = lib.partition (entry: entry.isDirectory) those;
    in
    {
      directories = map declaration parts.right;
      files = map declaration parts.wrong;
    };

  storeOf =
    those:
    let
      parts = lib.partition isInHome those;
    in
    listsOf parts.wrong
    // {
      users = lib.mapAttrs (_: listsOf) (lib.groupBy (entry: entry.owner) parts.right);
    };

  quoted = builtins.toJSON;

  notes =
    lib.concatMap (project: lib.optionals (!project.quiet) project.notes) (lib.attrValues projects)
    ++ lib.optionals isTalkative (
      map (
        entry:
        "${entry.from}: ${quoted entry.path} comes along with ${quoted (lib.head (around entry)).path}"
      ) within
      ++ map (
        same:
        "${quoted (lib.head same).path} is declared more than once, in ${
          lib.concatStringsSep " and " (lib.unique (map (entry: entry.from) same))
        }: what the first says counts"
      ) repeated
    );
  isTalkative = lib.any (project: !project.quiet) (lib.attrValues projects);

  # Is an option as it is made here, and by nobody else?
  isOurs =
    option: option.highestPrio == (lib.mkDefault null).priority && lib.length option.definitions == 1;
  stage1 = options.boot.initrd.systemd.enable;
  turnsOnStage1 = !(stage1.default or false) && isOurs stage1;

  rootType = (config.fileSystems."/" or { }).fsType or "";

  # Who says anything about ebb's own rollback wants it.
  isSaid =
    option:
    if lib.isOption option then
      option.highestPrio < (lib.mkDefault null).priority
    else
      lib.any isSaid (lib.attrValues option);
  wantsRollback = isSaid (removeAttrs options.ebb.root [ "kind" ]);
  leavesRoot = isActive && rootType != "tmpfs" && !wantsRollback;

  rootHint = ''
    The root is left to whatever has made it fresh until now (ebb.root.kind is "none"). To have
    ebb do that, so that the old root is kept for a while and every boot says whether it was fresh,
    take that out and write
      ebb.root.kind = "btrfs";
    and to leave it as it is
      ebb.root.kind = "none";
  '';
  stage1Hint = ''
    Stage 1 is systemd's now, where ebb runs. Say so yourself:
      boot.initrd.systemd.enable = true;
  '';
  hints = lib.optionals isTalkative (
    lib.optional turnsOnStage1 stage1Hint
    ++ lib.optional (leavesRoot && rootType == "btrfs" && isOurs options.ebb.root.kind) rootHint
  );

  list = lib.concatMapStrings (note: "  - ${note}\n") notes;

  # Stage 1 in shell has these. NixOS refuses them with systemd's; this is about
  # what to do instead.
  isRollback = text: lib.isString text && lib.hasInfix "btrfs subvolume" text;
  hooks = lib.filter (
    name: lib.any isRollback (options.boot.initrd.${name}.definitions or [ ])
  ) [
    "preDeviceCommands"
    "preLVMCommands"
    "postDeviceCommands"
    "postResumeCommands"
    "postMountCommands"
  ];
in
{
  imports = [ ../. ];

  options.ebb.compat = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule {
        options = {
          active = lib.mkOption {
            type = lib.types.bool;
            description = "Whether anything is configured there.";
          };
          quiet = lib.mkOption {
            type = lib.types.bool;
            default = false;
            description = "Whether nothing is to be said about it.";
          };
          entries = lib.mkOption {
            type = lib.types.listOf lib.types.raw;
            description = "What it keeps.";
          };
          notes = lib.mkOption {
            type = lib.types.listOf lib.types.str;
            default = [ ];
            description = "What of it has no meaning any more.";
          };
        };
      }
    );
    default = { };
    internal = true;
    description = "The configurations for other projects, by the project.";
  };

  config = lib.mkMerge [
    {
      ebb.persist = lib.mapAttrs (_: storeOf) stores;
    }
    (lib.mkIf isActive {
      ebb.enable = lib.mkDefault true;
      ebb.mainStore = lib.mkIf (mainStores != [ ]) (lib.mkDefault (lib.head mainStores));
      ebb.root.kind = lib.mkIf leavesRoot (lib.mkDefault "none");
      boot.initrd.systemd.enable = lib.mkIf (!(stage1.default or false)) (lib.mkDefault true);
    })
    (lib.mkIf (isActive && cfg.enable) {
      warnings = lib.optional (notes != [ ] || hints != [ ]) (
        "ebb: compat: this configuration for ${lib.concatStringsSep " and " (lib.attrNames projects)} is carried out by ebb.\n"
        + lib.optionalString (notes != [ ]) "What has no meaning any more, and can be taken out:\n${list}"
        + lib.removeSuffix "\n" (lib.concatStrings hints)
      );

      assertions = [
        {
          assertion = hooks == [ ];
          message = ''
            ebb: compat: boot.initrd.${lib.concatStringsSep " and boot.initrd." hooks} cannot run in an initrd with
            systemd. ebb makes the root fresh itself, and keeps the old ones. Take it out, and write
              ebb.root.kind = "btrfs";
          '';
        }
      ];
    })
  ];
}
