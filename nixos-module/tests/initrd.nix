# What ebb brings into the initrd: itself, its config and its units, and nothing else. Another
# kilobyte there is one that every generation has in /boot.
{
  evaluate,
  layouts,
  lib,
  test,
  ...
}:

let
  withoutContext = value: builtins.unsafeDiscardStringContext (toString value);

  # What has to be mounted there is, with ebb or without.
  mounted.fileSystems."/persist".neededForBoot = true;

  kinds = {
    inherit (layouts) btrfs tmpfs;
    luks = {
      imports = [ (layouts.btrfsOn "/dev/mapper/cryptroot") ];
      boot.initrd.luks.devices.cryptroot.device = "/dev/disk/by-partlabel/luks";
    };
  };

  ebb = {
    ebb.enable = true;
    ebb.persist."/persist".directories = [
      "/var/log"
      {
        path = "/var/lib/vault";
        required = true;
      }
    ];
  };

  added =
    layout:
    let
      initrdOf =
        module:
        let
          inherit (evaluate [ ../. layout mounted module ]) config;
          initrd = config.boot.initrd.systemd;
        in
        {
          inherit config;
          contents = lib.attrNames (lib.filterAttrs (_: it: it.enable or true) initrd.contents);
          programs = lib.attrNames initrd.extraBin;
          packages = map withoutContext initrd.initrdBin;
          storePaths = map (it: withoutContext (it.source or it)) initrd.storePaths;
          modules = config.boot.initrd.availableKernelModules ++ config.boot.initrd.kernelModules;
          units = lib.attrNames initrd.units;
        };
      before = initrdOf { };
      after = initrdOf ebb;
      new = what: lib.unique (lib.subtractLists before.${what} after.${what});
    in
    {
      inherit new;
      inherit (after) config;
    };

  ofKind =
    name: layout:
    let
      inherit (added layout) config new;
      program = "${withoutContext config.ebb.package}/bin/ebb";
    in
    test.under name [
      (test.is "files" [ "/etc/ebb/config.json" ] (new "contents"))
      (test.is "programs" [ "ebb" ] (new "programs"))
      (test.is "the program is that of the package" program (withoutContext config.boot.initrd.systemd.extraBin.ebb))
      (test.is "no packages, with shells or else" [ ] (new "packages"))
      (test.is "nothing of the store beside" [ ] (lib.subtractLists [ program ] (new "storePaths")))
      (test.is "no modules of the kernel" [ ] (new "modules"))
      (test.is "units" [ ] (lib.filter (unit: !(lib.hasPrefix "ebb-" unit)) (new "units")))
    ];
in
lib.concatLists (lib.mapAttrsToList ofKind kinds)
