# What the checks ask about a configuration, each said once.
{
  config,
  lib,
  options,
  utils,
  ...
}:

let
  cfg = config.ebb;
  inherit (cfg) root entries;

  paths = import ../paths.nix { inherit lib; };
  kept = import ../kept.nix { inherit config lib; };
  etc = import ../etc.nix { inherit config; };

  isFresh = root.kind != "none";
  rootFileSystem = config.fileSystems."/" or null;
  isBtrfs = root.kind == "btrfs" && (rootFileSystem.fsType or "") == "btrfs";
  rootOptions = if rootFileSystem == null then [ ] else rootFileSystem.options;
  subvolumes = map (option: lib.removePrefix "/" (lib.removePrefix "subvol=" option)) (
    lib.filter (lib.hasPrefix "subvol=") rootOptions
  );
  stores = lib.attrNames cfg.settings.stores;

  needed = config: lib.filter utils.fsNeededForBoot (lib.attrValues config.fileSystems);

  # "a, b and c"
  listed =
    names:
    if lib.length names < 2 then
      lib.concatStrings names
    else
      "${lib.concatStringsSep ", " (lib.init names)} and ${lib.last names}";

  lines = lib.concatMapStringsSep "\n" (line: "  ${line}");

  # ebb.persist."/persist".users.gabriel.files: "…"
  place =
    entry:
    "${entry.path} (${
      if entry.isDefault then "ebb.presets and the like" else "ebb.persist.${builtins.toJSON entry.store}"
    })";

  # A row that is about some of a list: name, the list of those, what to say.
  about =
    name: them: say:
    {
      inherit name;
      trips = them != [ ];
      text = say them;
    };

  # Devices that have to come from somewhere before they are there.
  luksNames = lib.attrNames config.boot.initrd.luks.devices;
  hasOwnCrypttab =
    config.boot.initrd.systemd.contents ? "/etc/crypttab" && luksNames == [ ];
  isLvm =
    device:
    let
      group = builtins.match "/dev/([^/]+)/[^/]+" device;
      mapped = builtins.match "/dev/mapper/(.+)" device;
    in
    if mapped != null then
      !hasOwnCrypttab
      && !(lib.elem (lib.head mapped) luksNames)
      && builtins.match ".*[^-]-[^-].*" (lib.head mapped) != null
    else
      group != null
      && !(lib.elem (lib.head group) [ "disk" "mapper" "md" "zvol" "bcache" "block" "stratis" "dm" ]);
  neededDevices = lib.unique (
    lib.filter (device: device != null && lib.hasPrefix "/dev/" device) (map (fs: fs.device) (needed config))
  );

  byPath = lib.groupBy (entry: entry.path) entries;

  # The nearest entry that an entry lies in, if it is one too many there.
  conflictOf =
    entry:
    let
      around = lib.concatMap (path: byPath.${path} or [ ]) (paths.ancestors entry.path);
      bad = lib.filter (
        outer: outer.store == entry.store || !outer.directory || outer.how == "symlink"
      ) around;
    in
    if bad == [ ] then null else lib.head bad;

  nested = lib.filter (pair: pair.outer != null) (
    map (inner: {
      inherit inner;
      outer = conflictOf inner;
    }) entries
  );

  # Files that NixOS makes in /etc.
  etcTargets = map (file: "/etc/${file.target}") (
    lib.filter (file: file.enable) (lib.attrValues config.environment.etc)
  );
  etcAncestors = lib.genAttrs (lib.concatMap paths.ancestors etcTargets) (_: true);
  hidesEtc = lib.filter (
    entry: entry.directory && lib.hasPrefix "/etc" entry.path && etcAncestors ? ${entry.path}
  ) entries;
  hiddenBy = entry: lib.filter (paths.isBelow entry.path) etcTargets;
  few =
    names:
    let
      some = lib.take 3 names;
    in
    listed (if lib.length names > 3 then some ++ [ "${toString (lib.length names - 3)} more" ] else some);

  # Who gets a number only when the machine is activated.
  users = lib.filter (user: user.enable or true) (lib.attrValues config.users.users);
  dynamicUsers = map (user: user.name) (lib.filter (user: user.uid == null) users);
  dynamicGroups = map (group: group.name) (
    lib.filter (group: group.gid == null) (lib.attrValues config.users.groups)
  );
  sysusers = config.systemd.sysusers.enable or false;
  userborn = config.services.userborn.enable or false;
  userbornFiles = config.services.userborn.passwordFilesLocation or "/etc";
  # Numbers that are fixed, in files that are part of the system.
  userbornIsStatic = config.services.userborn.static or false;
  # Newer releases have a file in /var/lib/nixos for each number that
  # systemd-sysusers gave out, so that it gives out the same again.
  sysusersRemembers =
    (config.systemd.tmpfiles.settings or { }) ? nixos-uid && kept.isEarly "/var/lib/nixos";
  dynamicOwners = lib.unique (
    lib.concatMap (
      entry:
      lib.optional (entry.uid == null && lib.elem entry.user dynamicUsers) entry.user
      ++ lib.optional (entry.gid == null && lib.elem entry.group dynamicGroups) entry.group
    ) entries
  );

  knownUser = name: config.users.users ? ${name};
  knownGroup = name: config.users.groups ? ${name};
  # Whose homes are to be kept, although there is no such user.
  unknownUsers = lib.unique (
    lib.concatLists (
      lib.mapAttrsToList (
        _: store: lib.filter (name: !(knownUser name)) (lib.attrNames store.users)
      ) cfg.persist
    )
  );
  unknownOwners = lib.filter (
    entry:
    !(lib.elem entry.user unknownUsers)
    && (
      entry.uid == null && entry.user != null && !(knownUser entry.user)
      || entry.gid == null && entry.group != null && !(knownGroup entry.group)
    )
  ) entries;

  # What is on the root, or comes too late; and what is gone after a boot. What
  # lies in /run is made anew by whatever made it.
  isLate =
    path:
    isFresh && lib.hasPrefix "/" path && !(lib.hasPrefix "/run/" path) && !(kept.isEarly path);
  isLost = path: isLate path && !(kept.survives path);

  hostKeys = map (key: key.path) (import ../host-keys.nix { inherit config lib; });

  # Keys that sops-nix and agenix need while NixOS is activated.
  secretKeys = map toString (
    lib.optionals (options ? sops && (config.sops.secrets or null) != { }) (
      (config.sops.age.sshKeyPaths or [ ])
      ++ (config.sops.gnupg.sshKeyPaths or [ ])
      ++ lib.filter (path: path != null) [ (config.sops.age.keyFile or null) ]
    )
    ++ lib.optionals (options ? age && (config.age.secrets or null) != { }) (
      config.age.identityPaths or [ ]
    )
  );

  initrdKeys = map toString (
    lib.optionals config.boot.initrd.network.ssh.enable config.boot.initrd.network.ssh.hostKeys
  );

  secureBootKeys = lib.optionals (options ? boot.lanzaboote && config.boot.lanzaboote.enable) [
    (toString config.boot.lanzaboote.pkiBundle)
  ];

  swapFiles = lib.filter (path: !(lib.hasPrefix "/dev/" path)) (map (swap: swap.device) config.swapDevices);
  diskSwaps = lib.filter (swap: !swap.randomEncryption.enable) config.swapDevices;
  # NixOS 26.05 has settings in place of lines.
  hibernationForbidden =
    if options.systemd.sleep ? settings then
      lib.elem (config.systemd.sleep.settings.Sleep.AllowHibernation or true) [ false "no" "false" "off" "0" ]
    else
      lib.hasInfix "AllowHibernation=no" config.systemd.sleep.extraConfig;
  mayHibernate =
    (diskSwaps != [ ] || config.boot.resumeDevice != "")
    && !(lib.elem "nohibernate" config.boot.kernelParams)
    && !hibernationForbidden;

  # Nobody wrote it: 1500 is the priority of what an option has by itself.
  onFailureIsDefault = (options.ebb.root.onFailure.highestPrio or 1500) >= 1500;

  otherRollbacks = lib.filter (
    name:
    let
      service = config.boot.initrd.systemd.services.${name};
    in
    !(lib.hasPrefix "ebb-" name)
    && lib.elem "sysroot.mount" service.before
    && builtins.match ".*subvolume (delete|snapshot).*" (
      lib.replaceStrings [ "\n" ] [ " " ] (service.script or "")
    ) != null
  ) (lib.attrNames config.boot.initrd.systemd.services);

  withoutPassword = lib.filter (
    user:
    user.isNormalUser
    && lib.all (it: it == null) [
      user.hashedPassword
      user.hashedPasswordFile
      user.password
      user.initialPassword
      user.initialHashedPassword
    ]
  ) users;

  # What passwd(1) changes: where /etc/shadow is a link, what it leads to.
  passwordsAreKept =
    kept.isEarly "/etc/shadow" || userborn && !etc.isImmutable && kept.isEarly userbornFiles;

  passwordFiles = lib.filter (file: file != null) (map (user: user.hashedPasswordFile) users);

  # /var/lib/NAME of a service with DynamicUser= is a link into /var/lib/private.
  dynamicDirectories = lib.listToAttrs (
    lib.concatMap (
      service:
      let
        its = service.serviceConfig;
        directories = lib.concatMap (names: lib.splitString " " (toString names)) (
          lib.toList (its.StateDirectory or [ ])
        );
      in
      lib.optionals (lib.elem (its.DynamicUser or false) [ true "true" "yes" ]) (
        map (name: lib.nameValuePair "/var/lib/${lib.head (lib.splitString ":" name)}" true) (
          lib.filter (name: name != "") directories
        )
      )
    ) (lib.attrValues config.systemd.services)
  );

  badPath =
    entry:
    let
      path = entry.declaredPath;
      names = lib.splitString "/" path;
    in
    path == ""
    || lib.elem ".." names
    || lib.hasPrefix "~" path
    || lib.hasInfix "$HOME" path
    || (if entry.home == null then !(lib.hasPrefix "/" path) else lib.hasPrefix "/" path);

  isBadStore =
    store:
    let
      homes = map (user: user.home) (lib.attrValues (cfg.persist.${store}.users or { }));
    in
    paths.clean store != store
    || !(lib.hasPrefix "/" store)
    || store == "/"
    || lib.elem ".." (lib.splitString "/" store)
    || lib.any (home: lib.hasSuffix home store) homes;

  forbidden = [
    "/nix"
    "/boot"
    config.boot.loader.efi.efiSysMountPoint
    "/proc"
    "/sys"
    "/dev"
    "/run"
  ];

  tmpOnRoot =
    !config.boot.tmp.useTmpfs
    && kept.mountPointOf "/tmp" == "/"
    && !((config.systemd.services.nix-daemon.environment or { }) ? TMPDIR)
    && !(config.nix.settings ? build-dir)
    && lib.versionOlder config.nix.package.version "2.30";
in
{
  inherit
    about
    badPath
    byPath
    cfg
    dynamicDirectories
    dynamicGroups
    dynamicOwners
    dynamicUsers
    entries
    etc
    etcAncestors
    etcTargets
    few
    forbidden
    hiddenBy
    hidesEtc
    hostKeys
    initrdKeys
    isBadStore
    isBtrfs
    isFresh
    isLate
    isLost
    isLvm
    kept
    lines
    listed
    luksNames
    mayHibernate
    needed
    neededDevices
    nested
    onFailureIsDefault
    otherRollbacks
    passwordFiles
    passwordsAreKept
    paths
    place
    root
    rootFileSystem
    rootOptions
    secretKeys
    secureBootKeys
    stores
    subvolumes
    swapFiles
    sysusers
    sysusersRemembers
    tmpOnRoot
    unknownOwners
    unknownUsers
    userborn
    userbornFiles
    userbornIsStatic
    withoutPassword
    ;
}
