# Errors: what is declared, each entry by itself and beside the others.
{
  config,
  facts,
  lib,
  ...
}:

let
  inherit (facts)
    about
    badPath
    byPath
    entries
    etc
    etcAncestors
    etcTargets
    few
    forbidden
    hiddenBy
    hidesEtc
    lines
    listed
    needed
    nested
    paths
    place
    stores
    unknownUsers
    ;
in
[
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
]
