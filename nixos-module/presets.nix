# Entries that nobody had to write: what the catalog knows of the programs that
# are enabled, and the StateDirectory= of every unit. They are handed over as
# ebb.defaultEntries, so that what is declared wins.
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.ebb.presets;
  paths = import ./paths.nix { inherit lib; };
  etc = import ./etc.nix { inherit config; };

  catalog = (builtins.fromJSON (builtins.readFile ../catalog/catalog.json)).entries;

  # "networkmanager" of "networkmanager/connections"
  presetOf = name: lib.head (lib.splitString "/" name);
  inHome = entry: lib.hasPrefix "~/" entry.path;
  isPattern = entry: lib.any (char: lib.hasInfix char entry.path) [ "*" "?" "[" ];

  # The values of an option: several where its name has a "*", and null where
  # this NixOS has no such option. One that was renamed or removed counts as not
  # there, since it would warn or throw when it is looked at.
  valuesOf =
    name:
    let
      inValue =
        names: value:
        if names == [ ] then
          [ value ]
        else if !(lib.isAttrs value) then
          [ ]
        else if lib.head names == "*" then
          lib.concatMap (inValue (lib.tail names)) (lib.attrValues value)
        else
          lib.optionals (value ? ${lib.head names}) (
            inValue (lib.tail names) value.${lib.head names}
          );
      inOptions =
        names: tree:
        if lib.isOption tree then
          if tree.visible or true == false then
            null
          else
            lib.optionals tree.isDefined (inValue names tree.value)
        else if names == [ ] || !(tree ? ${lib.head names}) then
          null
        else
          inOptions (lib.tail names) tree.${lib.head names};
    in
    inOptions (lib.splitString "." name) options;

  isOn =
    value:
    value == true || lib.isAttrs value && lib.attrNames value != [ ] || lib.isList value && value != [ ];

  # The option that brings an entry here, null when none does.
  reasonFor =
    entry:
    let
      brings = option: lib.any isOn (lib.toList (orEmpty (valuesOf option)));
      enabled = lib.findFirst brings null (entry.options or [ ]);
      byName = lib.findFirst (name: lib.elem name [ entry.name (presetOf entry.name) ]) null cfg.enable;
    in
    if cfg.auto && entry.always or false then
      "every machine has it"
    else if cfg.auto && enabled != null then
      enabled
    else if byName != null then
      "ebb.presets.enable has \"${byName}\""
    else
      null;

  orEmpty = list: if list == null then [ ] else list;

  isDisabled = names: lib.any (name: lib.elem name cfg.disable) names;

  # Where an entry of the catalog lies here. Most programs can be told to keep
  # their things elsewhere: then these are the places.
  placesOf =
    entry:
    let
      values = if entry ? at then valuesOf entry.at else null;
      toPath = value: if lib.isAttrs value then value.path or null else value;
      suffix = lib.optionalString (lib.hasSuffix ".pub" entry.path) ".pub";
      told = map (value: "${toString (toPath value)}${suffix}") (
        lib.filter (value: toPath value != null) (lib.concatMap lib.toList values)
      );
      elsewhere = lib.filter (path: lib.hasPrefix "/" path && !(isVolatile path)) told;
    in
    if values == null || lib.any (paths.isIn entry.path) told then
      [ entry.path ]
    else
      map paths.clean elsewhere;

  # Nobody keeps these: secrets that are made at each boot lie there.
  isVolatile =
    path: lib.any (dir: paths.isIn dir path) [ "/run" "/nix" "/proc" "/sys" "/dev" "/tmp" "/var/run" ];

  # Who owns it: many programs can be told to run as somebody else, with
  # services.NAME.user beside services.NAME.enable.
  ownerOf =
    entry:
    let
      sibling =
        what:
        lib.findFirst lib.isString (entry.${what} or null) (
          lib.concatMap (option: orEmpty (valuesOf "${lib.removeSuffix ".enable" option}.${what}")) (
            lib.filter (lib.hasSuffix ".enable") (entry.options or [ ])
          )
        );
      user = sibling "user";
      group = sibling "group";
    in
    lib.optionalAttrs (entry ? user && config.users.users ? ${user}) { inherit user; }
    // lib.optionalAttrs (entry ? group && config.users.groups ? ${group}) { inherit group; };

  # How it is kept, apart from where and whose it is.
  mannersOf =
    entry:
    lib.filterAttrs (name: _: lib.elem name [ "mode" "how" ]) entry
    // lib.optionalAttrs (entry.subvolume or false && mainStoreIsBtrfs) { subvolume = true; };

  mainStoreIsBtrfs =
    let
      mountPoint = paths.mountPointOf (lib.attrNames config.fileSystems) config.ebb.mainStore;
    in
    (config.fileSystems.${mountPoint} or { }).fsType or "" == "btrfs";

  # Candidates of the catalog for the system.
  ofSystem = lib.concatMap (
    entry:
    let
      reason = reasonFor entry;
      wanted = !(inHome entry) && !(isPattern entry) && entry.class != "no" && reason != null;
    in
    lib.optionals wanted (
      map (path: {
        inherit (entry) name;
        names = [ entry.name (presetOf entry.name) ];
        reason = "${reason}: ${entry.what}";
        file = entry.file or false;
        entry = { inherit path; } // ownerOf entry // mannersOf entry;
      }) (placesOf entry)
    )
  ) catalog;

  # Candidates of the catalog for the homes of cfg.users.
  ofHomes = lib.concatMap (
    user:
    let
      home = config.users.users.${user}.home or "/home/${user}";
    in
    lib.concatMap (
      entry:
      let
        reason = reasonFor entry;
        wanted = inHome entry && !(isPattern entry) && entry.class != "no" && reason != null;
        file = entry.file or false;
      in
      lib.optional wanted {
        inherit (entry) name;
        names = [ entry.name (presetOf entry.name) ];
        reason = "${reason}: ${entry.what}";
        inherit file;
        entry = {
          path = paths.join home (lib.removePrefix "~/" entry.path);
          inherit user;
          mode = if file then "0600" else "0700";
          parent = {
            inherit user;
          }
          // lib.optionalAttrs (!(lib.elem (dirOf home) [ "/" "/home" ])) { mode = "0700"; };
        }
        // mannersOf entry;
      }
    ) catalog
  ) cfg.users;

  stateDirectoriesOf = import ./state-directories.nix {
    inherit lib;
    inherit (config.users) users groups;
  };

  # Candidates of all enabled units.
  ofUnits = lib.concatLists (
    lib.mapAttrsToList (
      name: service:
      map (
        it:
        it
        // {
          name = "${name}.service";
          names = [ "${name}.service" ];
          reason = "StateDirectory= of ${name}.service${lib.optionalString it.dynamic ", with DynamicUser="}";
          file = false;
        }
      ) (lib.optionals (service.enable or true) (stateDirectoriesOf service))
    ) config.systemd.services
  );

  # Where a unit and the catalog mean the same directory, the unit knows where it
  # lies and the catalog what it is. Whose it is they both know: but of units that
  # come with a package, only what is added to them is known here.
  candidates =
    let
      withoutPrivate = path: lib.replaceStrings [ "/var/lib/private/" ] [ "/var/lib/" ] path;
      usualMode = unit: { mode = if unit.dynamic then "0700" else "0755"; };
      byPath = list: lib.listToAttrs (map (it: lib.nameValuePair (withoutPrivate it.entry.path) it) list);
      units = byPath (lib.optionals cfg.auto ofUnits);
      known = byPath (lib.filter (it: !it.file) ofSystem);
      merged = lib.mapAttrsToList (
        path: unit:
        if known ? ${path} then
          unit
          // {
            inherit (known.${path}) name;
            names = unit.names ++ known.${path}.names;
            reason = "${known.${path}.reason}; ${unit.reason}";
            entry =
              usualMode unit
              // removeAttrs known.${path}.entry (lib.optionals unit.dynamic [ "user" "group" ])
              // unit.entry;
          }
        else
          unit // { entry = usualMode unit // unit.entry; }
      ) units;
      others = lib.filter (it: it.file || !(units ? ${withoutPrivate it.entry.path})) ofSystem;
    in
    others ++ merged ++ ofHomes;

  # Why a candidate is left out, null when it is not.
  refusalOf =
    it:
    if isDisabled it.names then
      "ebb.presets.disable"
    else if paths.isIn "/etc" it.entry.path && etc.isImmutable then
      "/etc is read-only (system.etc.overlay.mutable)"
    else if generated ? ${it.entry.path} then
      "environment.etc makes it"
    else if lib.any (paths.isBelow it.entry.path) (lib.attrNames generated) then
      "it would hide what environment.etc makes in it"
    else
      null;

  generated = lib.listToAttrs (
    map (file: lib.nameValuePair "/etc/${file.target}" null) (
      lib.filter (file: file.enable) (lib.attrValues config.environment.etc)
    )
  );

  accepted = lib.filter (it: refusalOf it == null) candidates;

  # What became an entry: the rest is declared, lies in something that is, or on
  # a file system that survives the boot.
  taken = lib.listToAttrs (
    map (entry: lib.nameValuePair entry.path null) (lib.filter (entry: entry.isDefault) config.ebb.entries)
  );

  toReport = it: reason: {
    inherit (it) name;
    inherit (it.entry) path;
    inherit reason;
  };

  firstOfEachPath =
    reports:
    lib.attrValues (
      lib.foldl' (found: report: { ${report.path} = report; } // found) { } reports
    );

  knownNames = lib.concatMap (entry: [ entry.name (presetOf entry.name) ]) catalog;
  isKnown = name: lib.hasSuffix ".service" name || lib.elem name knownNames;
  unknownIn = list: lib.filter (name: !(isKnown name)) list;

  report = types.listOf (types.attrsOf types.str);
in
{
  options.ebb.presets = {
    auto = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to keep, in {option}`ebb.mainStore`, what the programs that are enabled in this
        configuration have to keep, as far as ebb's catalog knows it, and the
        `StateDirectory` of every systemd service. What is declared in
        {option}`ebb.persist` comes first, and what lies on a file system that survives the
        boot is left alone. {option}`ebb.presets.report` says what it comes to.
      '';
    };

    enable = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "wireguard" "ssh" ];
      description = ''
        Presets to take, by name, whatever is enabled: see {file}`catalog/catalog.json`. Those
        that lie in homes are for {option}`ebb.presets.users`.
      '';
    };

    disable = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "docker" "systemd-timesyncd.service" ];
      description = ''
        Presets to leave out, by the name that {option}`ebb.presets.report` has for them, or by
        what stands before the slash in it.
      '';
    };

    users = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "gabriel" ];
      description = "Users whose homes presets apply to: {file}`~/.mozilla` with {option}`programs.firefox.enable`, and so on.";
    };

    report = mkOption {
      type = report;
      readOnly = true;
      example = [
        {
          name = "bluetooth";
          path = "/var/lib/bluetooth";
          reason = "hardware.bluetooth.enable: Bluetooth pairings";
        }
      ];
      description = ''
        What the presets keep, and why:
        `nix eval .#nixosConfigurations.HOST.config.ebb.presets.report --json`
      '';
    };

    skipped = mkOption {
      type = report;
      readOnly = true;
      description = "What the presets would keep, but leave out, and why.";
    };
  };

  config.ebb = {
    defaultEntries = lib.mkIf config.ebb.enable {
      directories = map (it: it.entry) (lib.filter (it: !it.file) accepted);
      files = map (it: removeAttrs it.entry [ "subvolume" ]) (lib.filter (it: it.file) accepted);
    };

    presets.report = firstOfEachPath (
      map (it: toReport it it.reason) (lib.filter (it: taken ? ${it.entry.path}) accepted)
    );

    presets.skipped = firstOfEachPath (
      map (
        it:
        toReport it (
          let
            refusal = refusalOf it;
          in
          if refusal == null then "declared, in something declared, or on a file system that survives the boot" else refusal
        )
      ) (lib.filter (it: refusalOf it != null || !(taken ? ${it.entry.path})) candidates)
    );
  };

  config.assertions = lib.mkIf config.ebb.enable [
    {
      assertion = unknownIn (cfg.enable ++ cfg.disable) == [ ];
      message = ''
        ebb.presets: there is no preset called ${lib.concatMapStringsSep ", " (name: "\"${name}\"") (unknownIn (cfg.enable ++ cfg.disable))}.
        The names are those in ebb's catalog/catalog.json and, for the StateDirectory of a unit, that of the unit with its ".service".
      '';
    }
    {
      assertion = lib.all (user: config.users.users ? ${user}) cfg.users;
      message = ''
        ebb.presets.users: there is no user called ${lib.concatMapStringsSep ", " (name: "\"${name}\"") (lib.filter (user: !(config.users.users ? ${user})) cfg.users)}; declare users.users.NAME.
      '';
    }
  ];
}
