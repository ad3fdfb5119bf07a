# From what is declared to what the config says: paths made whole, owners with
# the numbers that are known, defaults filled in. Pure functions.
{
  lib,
  # config.users
  users,
  groups,
  # absolute paths of files that are "sync" or "symlink" unless they say otherwise
  replacedFiles,
  linkedFiles,
}:

let
  paths = import ./paths.nix { inherit lib; };

  orElse = value: default: if value == null then default else value;

  # null where there is no such thing, or nobody has given it a number
  uidOf = user: if user == null then null else users.${user}.uid or null;
  gidOf = group: if group == null then null else groups.${group}.gid or null;
  groupOf =
    user:
    let
      group = users.${user}.group or "";
    in
    if user == null || group == "" then null else group;

  # Who owns it: the names, and the numbers as far as they are known now. A
  # number that is given stands alone.
  owner =
    declared: default:
    let
      user = orElse declared.user (if declared.uid == null then default else null);
      group = orElse declared.group (if declared.gid == null then groupOf user else null);
    in
    {
      inherit user group;
      uid = orElse declared.uid (uidOf user);
      gid = orElse declared.gid (gidOf group);
    };

  howOf =
    path: declared:
    if declared.how != null then
      declared.how
    else if lib.elem path replacedFiles then
      "sync"
    else if lib.elem path linkedFiles then
      "symlink"
    else
      "bind";

  # A directory that has to be made above an entry in a home is its user's. The
  # binary itself knows that /root and those in /home are for nobody else.
  parentOf =
    declared: user: home:
    let
      named = owner declared.parent user;
      usual = home == null || lib.elem (dirOf home) [ "/" "/home" ];
    in
    named
    // {
      mode = orElse declared.parent.mode (if usual then null else "0700");
    };

  # One entry, whole. User and home are null outside of a home; store has the
  # manners for all its entries.
  resolve =
    {
      store,
      storePath,
      directory,
      user ? null,
      home ? null,
      isDefault ? false,
    }:
    declared:
    let
      path = if home == null then paths.clean declared.path else paths.join home declared.path;
      how = howOf path declared;
      bound = how == "bind";
      modeInHome = if directory then "0700" else "0600";
    in
    owner declared user
    // {
      inherit
        path
        how
        directory
        home
        isDefault
        ;
      inherit (declared) nodatacow required;
      store = storePath;
      declaredPath = declared.path;
      mode = orElse declared.mode (if home == null then null else modeInHome);
      parent = parentOf declared user home;
      options = lib.optionals bound store.options ++ declared.options;
      hidden = orElse declared.hidden (bound && orElse store.hidden false);
      trash = orElse declared.trash (bound && orElse store.trash false);
      subvolume = declared.subvolume or false;
    };

  ofLists =
    place: lists:
    map (resolve (place // { directory = true; })) lists.directories
    ++ map (resolve (place // { directory = false; })) lists.files;

  ofStore =
    storePath: store:
    ofLists { inherit store storePath; } store
    ++ lib.concatLists (
      lib.mapAttrsToList (
        user: lists:
        ofLists {
          inherit store storePath user;
          home = paths.clean lists.home;
        } lists
      ) store.users
    );

  # An entry as the config has it: what is as by default is left out.
  toSetting =
    entry:
    let
      parent = ownerSetting entry.parent;
    in
    { inherit (entry) path; }
    // ownerSetting entry
    // lib.optionalAttrs (entry.how != "bind") { inherit (entry) how; }
    // lib.optionalAttrs (parent != { }) { inherit parent; }
    // lib.optionalAttrs (entry.options != [ ]) { inherit (entry) options; }
    // lib.filterAttrs (_: isSet: isSet) {
      inherit (entry)
        hidden
        trash
        subvolume
        nodatacow
        required
        ;
    };

  ownerSetting =
    it:
    lib.filterAttrs (_: value: value != null) {
      inherit (it)
        user
        group
        uid
        gid
        mode
        ;
    };
in
{
  # All entries of config.ebb.persist, store by store.
  declared = persist: lib.concatLists (lib.mapAttrsToList ofStore persist);

  # Those of config.ebb.defaultEntries that add something to what is declared
  # and to each other. isKept tells what survives the boot anyhow.
  defaults =
    {
      persist,
      declared,
      mainStore,
      defaultEntries,
      isKept,
    }:
    let
      byPath = lib.listToAttrs (map (entry: lib.nameValuePair entry.path entry) declared);
      # whatever has an entry in it
      around = lib.listToAttrs (
        lib.concatMap (
          entry: map (path: lib.nameValuePair path null) (paths.ancestors entry.path)
        ) declared
      );
      hasAround = entries: path: lib.any (ancestor: entries ? ${ancestor}) (paths.ancestors path);
      isNew =
        entry:
        !(byPath ? ${entry.path})
        && !(around ? ${entry.path})
        && !(hasAround byPath entry.path)
        && !(isKept entry.path);
      all = lib.filter isNew (
        ofLists {
          storePath = mainStore;
          store =
            persist.${mainStore} or {
              options = [ ];
              hidden = null;
              trash = null;
            };
          isDefault = true;
        } defaultEntries
      );
      # the first of each path
      firstByPath = lib.foldl' (found: entry: { ${entry.path} = entry; } // found) { } all;
    in
    lib.filter (entry: !(hasAround firstByPath entry.path)) (lib.attrValues firstByPath);

  # The stores of the config, of a list of entries. isMounted tells which store
  # has a mount of its own although the root is not fresh.
  toSettings =
    isMounted: stores: entries:
    let
      ofEachStore = lib.groupBy (entry: entry.store) entries;
      list = directory: store: map toSetting (lib.filter (entry: entry.directory == directory) (ofEachStore.${store} or [ ]));
      nonEmpty = lib.filterAttrs (_: entries: entries != [ ]);
    in
    lib.genAttrs stores (
      store:
      nonEmpty {
        directories = list true store;
        files = list false store;
      }
      // lib.optionalAttrs (isMounted store) { mounted = true; }
    );
}
