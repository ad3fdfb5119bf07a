# What the tests of both modules have in common.
{
  evaluate,
  lib,
  test,
  layouts,
}:
rec {
  # The disk of the documented examples: a btrfs, with the store by its name.
  disk = store: {
    fileSystems = {
      "/" = layouts.subvolume "/dev/root_vg/root" "root";
      "/nix" = layouts.subvolume "/dev/root_vg/root" "nix";
      ${store} = layouts.subvolume "/dev/root_vg/root" "persistent" // {
        neededForBoot = true;
      };
      "/boot" = {
        device = "/dev/disk/by-uuid/1234-ABCD";
        fsType = "vfat";
      };
    };
    boot.initrd.services.lvm.enable = true;
  };

  # A user whose numbers are known.
  user = name: {
    users.users.${name} = {
      isNormalUser = true;
      uid = 1000;
    };
  };

  # What the config says of an entry in the home directory of such a user.
  inHome =
    name: entry:
    {
      user = name;
      uid = 1000;
      group = "users";
      gid = 100;
      parent = {
        user = name;
        uid = 1000;
        group = "users";
        gid = 100;
      };
    }
    // entry
    // {
      path = "/home/${name}/${entry.path}";
    };
  directory = name: path: inHome name { inherit path; mode = "0700"; };
  file = name: path: inHome name { inherit path; mode = "0600"; };

  at = path: { inherit path; };
  machineId = {
    path = "/etc/machine-id";
    how = "sync";
  };

  # What is kept, without where the stores are to be.
  keptBy = config: lib.mapAttrs (_: store: removeAttrs store [ "mounted" ]) config.ebb.settings.stores;
  storesOf = modules: keptBy (evaluate modules).config;

  # The warnings and the errors, of these modules or of one of ebb's checks.
  warningsOf = name: config: lib.filter (lib.hasPrefix "ebb: ${name}: ") config.warnings;
  errorsOf = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);

  failsWith =
    name: text: config:
    {
      inherit name;
      ok = lib.any (lib.hasInfix text) (errorsOf config);
      detail = "no error has ${builtins.toJSON text}: ${builtins.toJSON (errorsOf config)}";
    };

  # One warning, with all of these in it, and none of those.
  warnsOnce =
    name: config: wanted: unwanted:
    let
      warnings = warningsOf "compat" config;
      text = lib.concatStrings warnings;
    in
    [ (test.is "${name}: said once" 1 (lib.length warnings)) ]
    ++ map (part: test.contains "${name}: says ${part}" part text) wanted
    ++ map (part: {
      name = "${name}: does not say ${part}";
      ok = !(lib.hasInfix part text);
      detail = text;
    }) unwanted;

  # The manual has all of these, and can be made. They are those of the project (of January 2026 and September 2025), as options/NAME
  # lists them, and docs/coming-from-NAME.md says what becomes of each.
  isDocumented =
    project: name: options:
    let
      declared = lib.filter (option: !option.internal) (lib.optionAttrSetToDocList options);
      all = lib.filter (option: option.visible) declared;
      theirs = lib.filter (line: line != "") (
        lib.splitString "\n" (builtins.readFile (./options + "/${project}"))
      );
      page = builtins.readFile (../../../docs + "/coming-from-${project}.md");
      # What stands in backticks, in words.
      quoted = lib.concatLists (
        lib.filter lib.isList (builtins.split "`([^`\n]*)`" page)
      );
      words = lib.concatMap (text: lib.filter lib.isString (builtins.split "[^a-zA-Z]+" text)) quoted;
      leaves = lib.unique (map (name: lib.last (lib.splitString "." name)) theirs);
    in
    [
      (test.is "${name}: they are those of ${project}" theirs (
        lib.sort lib.lessThan (map (option: option.name) declared)
      ))
      (test.is "${name}: there is a word on each" [ ] (lib.subtractLists words leaves))
      (test.is "${name}: every option has a description" [ ] (
        map (option: option.name) (lib.filter (option: (option.description or "") == "") all)
      ))
      {
        name = "${name}: the manual can be made";
        ok =
          lib.length all > 20
          && lib.stringLength (builtins.toJSON (map (option: removeAttrs option [ "loc" "declarations" ]) all)) > 1000;
        detail = "it has ${toString (lib.length all)} options";
      }
    ];

  isSystem = name: config: {
    name = "${name}: is a system";
    ok = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
    detail = "its toplevel is no derivation";
  };
}
