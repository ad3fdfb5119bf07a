# What will annoy, but boots and loses nothing that was to be kept.
{
  config,
  facts,
  lib,
  ...
}:

let
  inherit (facts)
    about
    cfg
    dynamicDirectories
    dynamicOwners
    entries
    etc
    few
    hiddenBy
    hidesEtc
    hostKeys
    isFresh
    isLost
    kept
    lines
    listed
    luksNames
    mayHibernate
    needed
    onFailureIsDefault
    otherRollbacks
    passwordsAreKept
    place
    root
    secretKeys
    stores
    sysusers
    sysusersRemembers
    tmpOnRoot
    unknownOwners
    userborn
    withoutPassword
    ;
in
[
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
  {
    name = "hibernation-unresumed";
    trips =
      root.kind == "btrfs"
      && mayHibernate
      && config.boot.resumeDevice != ""
      && root.onFailure == "continue"
      && onFailureIsDefault;
    text = ''
      when this machine was hibernated and a boot cannot resume it (a passphrase of its swap that comes
      late, a boot menu without resume=), ebb leaves the root alone, and the boot goes on with it: the
      session is lost, and to resume after that would destroy the file system. To stop in the emergency
      shell instead, with nothing mounted, from where the machine can still be resumed, write
        ebb.root.onFailure = "emergency";
      or, to go on all the same,
        ebb.root.onFailure = "continue";
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
  (about "required-home" (lib.filter (entry: entry.required && entry.home != null) entries) (them: ''
    these lie in the homes of users, who can have each boot stop in the emergency shell with them: by a
    link in the place of a directory, say. Take out required = true:
    ${lines (map place them)}
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
]
