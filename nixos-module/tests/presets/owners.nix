# Owners and modes in the catalog are those that NixOS gives: by the home directory of a user,
# by a rule of tmpfiles.d(5), or by the StateDirectory= of a service. Of the others the catalog
# says where it has them from.
arguments@{ lib, test, ... }:
let
  catalog = (builtins.fromJSON (builtins.readFile ../../../catalog/catalog.json)).entries;
  everything = import ./everything.nix (arguments // { inherit catalog; });
  inherit (everything) config;

  # /var/lib/NAME is a link to it.
  withoutPrivate = lib.replaceStrings [ "/var/lib/private/" ] [ "/var/lib/" ];
  withoutContext = text: builtins.unsafeDiscardStringContext (toString text);
  fourDigits =
    mode:
    let
      digits = lib.head (builtins.match "[~:]*([0-7]*)" mode);
    in
    lib.fixedWidthString 4 "0" digits;

  # At boot they come in this order, and each changes what there is. A user or group of null
  # is not said.

  # NixOS makes homes when it is activated.
  homes = lib.mapAttrsToList (name: user: {
    path = user.home;
    user = name;
    inherit (user) group;
    mode = fourDigits user.homeMode;
  }) (lib.filterAttrs (_: user: user.createHome) config.users.users);

  rule =
    {
      type,
      path,
      mode,
      user,
      group,
    }:
    let
      orNull = value: if value == "-" || value == "" then null else value;
      usual = if lib.hasPrefix "f" type then "0644" else "0755";
    in
    {
      inherit path;
      user = orNull user;
      group = orNull group;
      mode = if orNull mode == null then usual else fourDigits mode;
    };
  fieldsOf =
    line:
    map (lib.replaceStrings [ "'" "\"" ] [ "" "" ]) (
      lib.filter (field: field != "") (lib.splitString " " (lib.replaceStrings [ "\t" ] [ " " ] (withoutContext line)))
    );
  fromLine =
    line:
    let
      fields = fieldsOf line;
      at = index: if lib.length fields > index then lib.elemAt fields index else "-";
    in
    {
      type = at 0;
      path = at 1;
      mode = at 2;
      user = at 3;
      group = at 4;
    };
  fromSettings = lib.concatLists (
    lib.concatMap (
      file:
      lib.mapAttrsToList (
        path: types:
        lib.mapAttrsToList (type: it: {
          inherit type path;
          inherit (it) mode user group;
        }) types
      ) file
    ) (lib.attrValues config.systemd.tmpfiles.settings)
  );
  rules = map rule (
    lib.filter (it: builtins.match "[dDevqQfFz].*" it.type != null) (
      map fromLine config.systemd.tmpfiles.rules ++ fromSettings
    )
  );

  stateDirectoriesOf = import ../../state-directories.nix {
    inherit lib;
    inherit (config.users) users groups;
  };
  # A unit of a package says itself whose it is.
  unitsOf =
    service:
    let
      isWhole = service.serviceConfig ? ExecStart || service.script != "";
    in
    map (
      it:
      let
        orRoot = name: it.entry.${name} or (if isWhole then "root" else null);
      in
      {
        inherit (it.entry) path;
        mode = it.entry.mode or (if it.dynamic then "0700" else "0755");
        user = orRoot "user";
        group = orRoot "group";
      }
    ) (stateDirectoriesOf service);
  # What a service is like that cannot be evaluated here is not known.
  units = lib.concatMap (
    service:
    let
      its = builtins.tryEval (
        let
          all = unitsOf service;
        in
        builtins.deepSeq all all
      );
    in
    lib.optionals its.success its.value
  ) (lib.attrValues config.systemd.services);

  byPath = lib.groupBy (fact: withoutPrivate fact.path);
  homesByPath = byPath homes;
  rulesByPath = byPath rules;
  unitsByPath = byPath units;

  # What is so in the end; none where NixOS does not say.
  factsOf =
    entry:
    let
      path = withoutPrivate entry.path;
    in
    unitsByPath.${path} or rulesByPath.${path} or homesByPath.${path} or [ ];

  ownerOf =
    entry:
    let
      user = entry.user or "root";
      primary = config.users.users.${user}.group or user;
    in
    {
      inherit user;
      group = entry.group or primary;
      mode = entry.mode or (if entry.file or false then "0644" else "0755");
    };
  isDynamic = entry: lib.hasPrefix "/var/lib/private/" entry.path;
  isOwner =
    entry: fact:
    let
      wanted = ownerOf entry;
      agrees = name: fact.${name} == null || fact.${name} == wanted.${name};
    in
    isDynamic entry == isDynamic fact
    && (if isDynamic entry then
      # The user is made when the service starts, and the mode is for nobody else before.
      wanted == {
        user = "root";
        group = "root";
        mode = "0700";
      }
    else
      agrees "user" && agrees "group" && agrees "mode");

  show =
    entry: facts:
    "${entry.name}: the catalog says ${text (ownerOf entry)}, NixOS ${lib.concatMapStringsSep " and " text facts}";
  text =
    it:
    lib.concatMapStringsSep ":" (value: if value == null then "?" else value) [
      it.user
      it.group
      it.mode
    ];

  ofSystem = lib.filter (entry: !(lib.hasPrefix "~/" entry.path) && entry.class != "no") catalog;
  known = lib.filter (entry: factsOf entry != [ ]) ofSystem;
  wrong = lib.filter (entry: !(entry ? source) && !(lib.all (isOwner entry) (factsOf entry))) known;
  enabled = lib.filter everything.isOn ofSystem;
  says = entry: entry ? user || entry ? group || entry ? mode;
  unfounded = lib.filter (
    entry: factsOf entry == [ ] && !(entry ? source) && (says entry || everything.isOn entry)
  ) ofSystem;

  # A directory that a rule needs on its way is made for root, in one of somebody else
  # tmpfiles(8) would not go on from there ("unsafe path transition").
  isBlocked =
    entry: it:
    let
      above = lib.init (lib.splitString "/" (lib.removePrefix "${entry.path}/" it.path));
      between = lib.genList (n: "${entry.path}/${lib.concatStringsSep "/" (lib.take (n + 1) above)}") (lib.length above);
    in
    lib.hasPrefix "${entry.path}/" it.path && lib.any (path: !(rulesByPath ? ${path})) between;
  blocked = lib.filter (entry: entry.user or "root" != "root" && lib.any (isBlocked entry) rules) ofSystem;

  # The option that says where it lies says by default what the catalog says.
  elsewhere = lib.filter (
    entry:
    let
      texts = everything.textsOf entry.at;
      isThere = path: path == entry.path || lib.hasPrefix "${entry.path}/" path || "${path}.pub" == entry.path;
    in
    entry ? at && lib.isList texts && texts != [ ] && !(lib.any isThere texts)
  ) enabled;
in
[
  (test.is "owners and modes are those of NixOS" [ ] (map (entry: show entry (factsOf entry)) wrong))
  (test.is "where NixOS does not say, the catalog says where it is from" [ ] (map (entry: entry.name) unfounded))
  (test.is "what is made in them can be made" [ ] (map (entry: entry.name) blocked))
  (test.is "they lie where NixOS has them" [ ] (map (entry: entry.name) elsewhere))
  {
    name = "most is compared";
    ok = lib.length known >= 70;
    detail = "${toString (lib.length known)} entries";
  }
]
