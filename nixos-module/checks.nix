# What is wrong with a configuration as far as it can be seen without a machine:
# assertions and warnings, each with what to write instead. A table; names are
# stable.
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

  paths = import ./paths.nix { inherit lib; };
  kept = import ./kept.nix { inherit config lib; };
  etc = import ./etc.nix { inherit config; };

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

  hostKeys = map (key: key.path) (import ./host-keys.nix { inherit config lib; });

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
    diskSwaps != [ ]
    && !(lib.elem "nohibernate" config.boot.kernelParams)
    && !hibernationForbidden;

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

  errors = [
    {
      name = "stage-1";
      trips = !config.boot.initrd.systemd.enable;
      text = ''
        the initrd is not systemd's, so that nothing would ever run. Write:
          boot.initrd.systemd.enable = true;
      '';
    }
    {
      name = "root-kind";
      trips =
        rootFileSystem == null
        || root.kind == "btrfs" && rootFileSystem.fsType != "btrfs"
        || root.kind == "tmpfs" && rootFileSystem.fsType != "tmpfs";
      text = ''
        fileSystems."/" is ${
          if rootFileSystem == null then "not there" else "of type ${rootFileSystem.fsType}"
        }, but ebb.root.kind is "${root.kind}". Make the root a btrfs:
          fileSystems."/" = { device = "/dev/..."; fsType = "btrfs"; options = [ "subvol=@" ]; };
        or a tmpfs:
          fileSystems."/" = { device = "none"; fsType = "tmpfs"; };
        or leave it alone, and only keep what is declared:
          ebb.root.kind = "none";
      '';
    }
    {
      name = "root-device";
      trips =
        isBtrfs
        && (root.device == null || root.device == "/dev/root" || !(lib.hasPrefix "/dev/" root.device));
      text = ''
        ${
          if root.device == null then "the root has no device" else "${root.device} is not a device that there is in a systemd initrd"
        }. Name the real one:
          fileSystems."/".device = "/dev/disk/by-label/nixos";
      '';
    }
    {
      name = "root-subvolid";
      trips = isBtrfs && lib.any (lib.hasPrefix "subvolid=") rootOptions;
      text = ''
        fileSystems."/" names its subvolume by number, and the number of the root is
        another one after each boot. Write its name:
          fileSystems."/".options = [ "subvol=${root.subvolume}" ];
      '';
    }
    {
      name = "root-subvolume";
      trips =
        isBtrfs
        && !(lib.any (lib.hasPrefix "subvolid=") rootOptions)
        && subvolumes != [ root.subvolume ];
      text = ''
        ${
          if subvolumes == [ ] then
            "fileSystems.\"/\" names no subvolume, so that the default one would be mounted"
          else
            "fileSystems.\"/\" is the subvolume ${lib.last subvolumes}, but ebb.root.subvolume is ${root.subvolume}"
        }: the machine would not run on the fresh root. Write:
          fileSystems."/".options = [ "subvol=${root.subvolume}" ];
      '';
    }
    {
      name = "root-also";
      trips = root.kind != "btrfs" && root.also != { };
      text = ''
        ebb.root.also needs a root on btrfs: subvolumes are rolled back along with it.
        Take it out, or set ebb.root.kind = "btrfs".
      '';
    }
    {
      name = "nix-on-root";
      trips = isFresh && !(kept.survives "/nix/store");
      text = ''
        /nix lies on the root, which is empty after a boot: nothing would be there to boot.
        Give it a file system of its own, a subvolume say:
          fileSystems."/nix" = { device = "${toString root.device}"; fsType = "btrfs"; options = [ "subvol=@nix" ]; };
      '';
    }
    (about "store-on-root" (lib.filter (store: isFresh && !(kept.survives store)) stores) (them: ''
      the store ${listed them} lies on what is empty after a boot. Give it a file system of
      its own, a subvolume say:
        fileSystems."${lib.head them}" = { device = "${toString root.device}"; fsType = "btrfs"; options = [ "subvol=@persist" ]; };
    ''))
    (about "store-path" (lib.filter isBadStore stores) (them: ''
      ebb.persist.${builtins.toJSON (lib.head them)}: a store is an absolute path without a slash at the end and
      without "..", not "/" itself, and does not end in the home of a user, which comes below it by
      itself. Write:
        ebb.persist."/persist"
    ''))
    (about "lvm" (lib.filter isLvm (lib.optionals (!config.boot.initrd.services.lvm.enable) neededDevices)) (them: ''
      ${listed them} looks like a logical volume, and nothing in the initrd makes these
      appear. Write:
        boot.initrd.services.lvm.enable = true;
    ''))
    (about "swap-file" (lib.filter isLost swapFiles) (them: ''
      the swap file ${listed them} lies on the root, which is another one after a boot. Put it
      on a file system that stays, a subvolume of its own say:
        fileSystems."/swap" = { device = "${toString root.device}"; fsType = "btrfs"; options = [ "subvol=@swap" ]; };
        swapDevices = [ { device = "/swap/swapfile"; } ];
    ''))
    {
      name = "boot-on-root";
      trips =
        isFresh
        && config.boot.loader.grub.enable
        && lib.subtractLists [ "nodev" ] config.boot.loader.grub.devices != [ ]
        && !(kept.survives "/boot");
      text = ''
        GRUB has its files in /boot, on the root, which is empty after a boot: the machine
        would not start. Give it a file system of its own:
          fileSystems."/boot" = { device = "/dev/disk/by-label/boot"; fsType = "ext4"; };
      '';
    }
    (about "entry-path" (lib.filter badPath entries) (them: ''
      these are not paths that can be kept; write "/var/lib/x" in directories and files, and, below
      users.<name>, "x", relative to the home directory, without "~", "$HOME" and "..":
      ${lines (map (entry: "${builtins.toJSON entry.declaredPath} (ebb.persist.${builtins.toJSON entry.store})") them)}
    ''))
    (about "entry-place" (lib.filter (
      entry: entry.path == "/" || lib.any (place: paths.isIn place entry.path) forbidden
    ) entries) (them: ''
      nothing can be kept there; /nix and /boot are file systems of their own
      (fileSystems."/nix"), and what the kernel and systemd mount in /proc, /sys, /dev and /run
      never outlives a boot. Take out:
      ${lines (map place them)}
    ''))
    (about "entry-store" (lib.filter (
      entry: lib.any (store: paths.isIn store entry.path || paths.isBelow entry.path store) stores
    ) entries) (them: ''
      an entry is named by where it is to appear, not by where it is stored, and cannot hide a store:
      write "/var/log" in ebb.persist."/persist" for what lies in /persist/var/log. These lie in
      a store, or around one:
      ${lines (map place them)}
    ''))
    (about "entry-twice" (lib.attrNames (lib.filterAttrs (_: same: lib.length same > 1) byPath)) (them: ''
      these are kept more than once; take out all but one:
      ${lines (map (path: "${path} (${listed (lib.unique (map (entry: "ebb.persist.${builtins.toJSON entry.store}") byPath.${path}))})") them)}
    ''))
    (about "entry-nested" nested (them: ''
      these come along with what they lie in, or cannot lie in it; take out one of both:
      ${lines (map (pair: "${place pair.inner} in ${place pair.outer}") them)}
    ''))
    (about "entry-file-system" (lib.filter (
      entry:
      config.fileSystems ? ${entry.path}
      || entry.directory && lib.any (fs: paths.isBelow entry.path fs.mountPoint) (needed config)
    ) entries) (them: ''
      a file system is mounted there, or in there, already, and one would hide the other. Take
      out the entry, or the file system:
      ${lines (map place them)}
    ''))
    (about "entry-options" (lib.filter (
      entry: entry.how != "bind" && entry.options != [ ]
    ) entries) (them: ''
      mount options need how = "bind": nothing is mounted for a link or a copy. Take the options
      of these out:
      ${lines (map place them)}
    ''))
    (about "unknown-user" unknownUsers (them: ''
      there is no such user as ${listed them}, whose home ebb.persist.<store>.users is to keep. Correct
      the name, or write:
        users.users.${lib.head them}.isNormalUser = true;
    ''))
    (about "machine-id" (lib.filter (
      entry: entry.path == "/etc/machine-id" && entry.how != (if etc.isImmutable then "bind" else "sync")
    ) entries) (_: ''
      /etc/machine-id cannot be kept that way: ${
        if etc.isImmutable then
          "/etc is read-only here, so that only a bind mount can bring it in."
        else
          "systemd-machine-id-commit.service fails on a bind mount, and no id is ever committed behind a link."
      } Leave out its "how":
        ebb.persist."/persist".files = [ "/etc/machine-id" ];
    ''))
    (about "immutable-etc" (lib.filter (
      entry:
      etc.isImmutable
      && paths.isBelow "/etc" entry.path
      && !(lib.elem entry.path etcTargets || etcAncestors ? ${entry.path} && entry.directory)
    ) entries) (them: ''
      /etc is a read-only overlay, in which nothing can be made to mount on. Write
        system.etc.overlay.mutable = true;
      or, for a file, an empty one to mount on:
        environment.etc."${lib.removePrefix "/etc/" (lib.head them).path}" = { text = ""; mode = "0644"; };
      It is about:
      ${lines (map place them)}
    ''))
    (about "etc-hidden" (if etc.isOverlay then hidesEtc else [ ]) (them: ''
      these directories hide what NixOS makes in them; keep the files or directories in there
      that are not from NixOS, instead of:
      ${lines (map (entry: "${place entry}: ${few (hiddenBy entry)}") them)}
    ''))
    {
      name = "nixos-state";
      trips =
        isFresh
        && !sysusers
        && !userborn
        && dynamicUsers ++ dynamicGroups != [ ]
        && !(kept.isEarly "/var/lib/nixos");
      text = ''
        /var/lib/nixos is not kept, where NixOS notes the numbers of users and groups: they could be
        others after a boot, and files somebody else's. ${toString (lib.length (dynamicUsers ++ dynamicGroups))} have none of their own
        (${few (dynamicUsers ++ dynamicGroups)}). Write:
          ebb.keepNixosState = true;
      '';
    }
    {
      name = "userborn-state";
      trips =
        isFresh
        && userborn
        && !userbornIsStatic
        && dynamicUsers ++ dynamicGroups != [ ]
        && isLost userbornFiles;
      text = ''
        userborn gives out the numbers of users and groups anew at each boot, since it has its files in
        ${userbornFiles}, on the root: they could be others after a change of the configuration, and files
        somebody else's. Write:
          services.userborn.passwordFilesLocation = "/var/lib/nixos";
      '';
    }
    (about "password-file" (lib.filter isLate passwordFiles) (them: ''
      ${listed them} will not be there when users get their passwords: it lies on the root, or on what is
      mounted later. Nobody could log in. Put it into a store, and write:
        users.users.<name>.hashedPasswordFile = "${cfg.mainStore}${lib.head them}";
    ''))
    (about "secret-keys" (lib.filter isLate secretKeys) (them: ''
      ${listed them} will not be there when secrets are decrypted: it lies on the root, or on what is
      mounted later. Name it where it is stored, or keep it:
        ebb.persist."${cfg.mainStore}".files = [ ${lib.concatMapStringsSep " " builtins.toJSON them} ];
    ''))
    (about "initrd-ssh-keys" (lib.filter isLost initrdKeys) (them: ''
      ${listed them}, a host key for the initrd (boot.initrd.network.ssh.hostKeys), lies on the root: it would be
      lost, and no new initrd could be made. Keep it:
        ebb.persist."${cfg.mainStore}".files = [ ${lib.concatMapStringsSep " " builtins.toJSON them} ];
    ''))
    (about "secure-boot-keys" (lib.filter isLost secureBootKeys) (them: ''
      the keys for Secure Boot in ${listed them} (boot.lanzaboote.pkiBundle) lie on the root: they would be
      lost, and no new generation could be signed. Keep them:
        ebb.persist."${cfg.mainStore}".directories = [ { path = "${lib.head them}"; mode = "0700"; } ];
    ''))
  ];

  warnings = [
    (about "luks-timeout"
      (lib.unique (
        map (fs: fs.device) (
          lib.filter (
            fs:
            luksNames != [ ]
            && lib.hasPrefix "/dev/disk/by-" (toString fs.device)
            && !(lib.any (lib.hasPrefix "x-systemd.device-timeout=") fs.options)
            && lib.elem fs.mountPoint ([ "/" "/nix" ] ++ stores)
          ) (needed config)
        )
      ))
      (them: ''
        if ${listed them} is what ${listed (map (name: "/dev/mapper/${name}") luksNames)} holds, systemd gives up
        when the passphrase is not typed within 90 s: it waits for ever for a device of LUKS only
        under its own name. Write it in fileSystems."/".device, and in those of /nix and the stores:
          fileSystems."/".device = "/dev/mapper/${lib.head luksNames}";
        or, if LUKS has nothing to do with it, the option "x-systemd.device-timeout=90s".
      '')
    )
    {
      name = "hibernation";
      trips = isFresh && mayHibernate && config.boot.resumeDevice == "";
      text = ''
        this machine can hibernate, but is not told where to resume from. ebb leaves the root alone
        when it finds an image, but a resume that cannot be tried loses the session. Write
          boot.resumeDevice = "/dev/disk/by-label/swap";
        (for a swap file, the device of its file system, and the kernel parameter resume_offset), or
        rule hibernation out:
          boot.kernelParams = [ "nohibernate" ];
      '';
    }
    (about "etc-hidden" (if etc.isOverlay then [ ] else hidesEtc) (them: ''
      NixOS makes files in these directories, which would end up in the store and stay there; keep the
      files or directories in there that are not from NixOS, instead of:
      ${lines (map (entry: "${place entry}: ${few (hiddenBy entry)}") them)}
    ''))
    (about "unknown-owner" unknownOwners (them: ''
      there is no such user or group in this configuration; until there is one, these are for root
      alone. Correct the name, enable the service, or take the entry out:
      ${lines (map (
            entry: "${place entry}: ${if entry.user == null then "" else entry.user}${lib.optionalString (entry.group != null) ":${entry.group}"}"
          ) them)}
    ''))
    (about "ssh-host-keys" (lib.filter isLost (lib.subtractLists secretKeys hostKeys)) (them: ''
      the host keys of sshd lie on the root: they are others after each boot, and every client warns of
      an attack. Keep them:
        ebb.persist."${cfg.mainStore}".files = [ ${
          lib.concatMapStringsSep " " builtins.toJSON (
            lib.concatMap (key: [ key "${key}.pub" ]) them
          )
        } ];
    ''))
    (about "entry-survives" (lib.filter (
      entry: !entry.isDefault && kept.survives entry.path
    ) entries) (them: ''
      these lie on a file system of their own, which no boot empties; what is there now would be hidden by
      what the store has. Take out:
      ${lines (map (entry: "${place entry}, on ${kept.mountPointOf entry.path}") them)}
    ''))
    (about "second-rollback" (lib.optionals isFresh otherRollbacks) (them: ''
      boot.initrd.systemd.services.${listed them} makes a root fresh, too. Two of them
      get into each other's way; ebb archives the old root instead of deleting it. Take it out, or write
        ebb.root.kind = "none";
    ''))
    (about "passwords"
      (map (user: user.name) (
        if isFresh && config.users.mutableUsers && !passwordsAreKept then
          withoutPassword
        else
          [ ]
      ))
      (them: ''
        ${listed them} cannot log in with a password: what passwd(1) sets is lost with the root. Write:
          users.users.${lib.head them}.hashedPasswordFile = "${cfg.mainStore}/passwords/${lib.head them}";
      '')
    )
    (about "sysusers-numbers" (if isFresh && sysusers && !sysusersRemembers then dynamicOwners else [ ]) (them: ''
      systemd-sysusers gives ${listed them} a number anew at each boot, and what is kept belongs to a number. Write
      one down (users.users.<name>.uid, users.groups.<name>.gid), or use userborn, which can remember:
        services.userborn = { enable = true; passwordFilesLocation = "/var/lib/nixos"; };
    ''))
    (about "dynamic-user" (lib.filter (entry: dynamicDirectories ? ${entry.path}) entries) (them: ''
      the services of these have DynamicUser=: the directories are links into /var/lib/private, which
      systemd cannot make where something is mounted. Write, with mode = "0700":
      ${lines (map (entry: "/var/lib/private/${baseNameOf entry.path} instead of ${place entry}") them)}
    ''))
    {
      name = "emergency-locked";
      trips =
        (root.onFailure == "emergency" && isFresh || lib.any (entry: entry.required) entries)
        && lib.elem config.boot.initrd.systemd.emergencyAccess [ null false ];
      text = ''
        a failure is to end in the emergency shell, which lets nobody in. Write, with what mkpasswd(1) gives:
          boot.initrd.systemd.emergencyAccess = "$y$...";
      '';
    }
    {
      name = "builds-in-memory";
      trips = root.kind == "tmpfs" && config.nix.enable && tmpOnRoot;
      text = ''
        nix builds in /tmp, which is in memory along with the root: a large build fills it. Write:
          systemd.services.nix-daemon.environment.TMPDIR = "/nix/tmp";
          systemd.tmpfiles.rules = [ "d /nix/tmp 0755 root root 1d" ];
      '';
    }
    {
      name = "kernel";
      trips = lib.versionOlder config.boot.kernelPackages.kernel.version "6.1";
      text = ''
        Linux ${config.boot.kernelPackages.kernel.version} is older than ebb is made for: some of what it mounts with came with 5.12, and btrfs
        has had fixes for renamed subvolumes since. Write:
          boot.kernelPackages = pkgs.linuxPackages;
      '';
    }
  ];

  message = check: "ebb: ${check.name}: ${lib.removeSuffix "\n" check.text}";
in
{
  config = lib.mkIf cfg.enable {
    assertions = map (check: {
      assertion = !check.trips;
      message = message check;
    }) errors;

    warnings = map message (lib.filter (check: check.trips) warnings);
  };
}
