# The initrd: the binary, its config, and the units, which a drop-in each tells
# about this machine. What the units say by themselves, and why, is in ../units.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:

let
  cfg = config.ebb;
  inherit (cfg) root;

  paths = import ./paths.nix { inherit lib; };

  # A package for each, so that boot.initrd.systemd.services, of this module
  # and of its user, adds to the unit.
  unit =
    name:
    pkgs.writeTextDir "lib/systemd/system/${name}" (lib.readFile (../units + "/${name}"));

  hasRequired = lib.any (entry: entry.required) cfg.entries;

  # Also those that a btrfs on several devices names among its options.
  devices = lib.optionals (root.kind == "btrfs") (
    lib.unique (
      [ root.device ]
      ++ map (lib.removePrefix "device=") (lib.filter (lib.hasPrefix "device=") root.options)
    )
  );
  deviceUnits = map (device: "${utils.escapeSystemdPath device}.device") devices;

  # The file systems that stores and entries lie on. As systemd names them; the
  # option WantsMountsFor= would do, but it is of version 256.
  mountPoints =
    let
      all = lib.attrNames config.fileSystems;
      on = map (paths.mountPointOf all) (
        lib.attrNames cfg.settings.stores ++ map (entry: entry.path) cfg.entries
      );
      withParents = lib.concatMap (
        point: [ point ] ++ lib.filter (parent: lib.elem parent all) (paths.ancestors point)
      ) on;
    in
    lib.filter (point: point != "/") (lib.unique withParents);
  mountUnits = map (point: "${utils.escapeSystemdPath "/sysroot${point}"}.mount") mountPoints;

  dropIn = {
    overrideStrategy = "asDropin";
    environment = import ./environment.nix { inherit lib; };
  };
in
{
  config = lib.mkIf cfg.enable {
    boot.kernelParams = cfg.kernelParams;

    boot.initrd.supportedFilesystems = lib.mkIf (root.kind == "btrfs") [ "btrfs" ];

    boot.initrd.systemd = {
      extraBin.ebb = "${cfg.package}/bin/ebb";
      contents."/etc/ebb/config.json".source = cfg.configFile;

      packages =
        map unit [
          "ebb-rollback.service"
          "ebb-failure.service"
          "ebb-mount.service"
        ]
        ++ lib.optional hasRequired (unit "ebb-required.service");

      services = {
        ebb-rollback = lib.mkMerge [
          dropIn
          {
            wantedBy = [ "initrd.target" ];
            requires = deviceUnits;
            after = deviceUnits;
          }
          (
            if root.onFailure == "emergency" then
              {
                onFailure = [ "emergency.target" ];
                unitConfig.OnFailureJobMode = "isolate";
              }
            else
              { onFailure = [ "ebb-failure.service" ]; }
          )
        ];

        ebb-failure = lib.mkMerge [
          dropIn
          { wantedBy = [ "emergency.target" ]; }
        ];

        ebb-mount = lib.mkMerge [
          dropIn
          {
            wantedBy = [ "initrd-fs.target" ];
            wants = mountUnits;
            after = mountUnits;
          }
        ];

        ebb-required = lib.mkIf hasRequired (
          lib.mkMerge [
            dropIn
            { wantedBy = [ "initrd-fs.target" ]; }
          ]
        );
      };

      # Isolation leaves a mount that is waiting to be mounted alone: the old
      # root would turn up below the emergency shell.
      units."sysroot.mount" = lib.mkIf (root.onFailure == "emergency") {
        overrideStrategy = "asDropin";
        text = ''
          [Unit]
          AssertPathExists=/run/ebb/root-ready
        '';
      };
    };
  };
}
