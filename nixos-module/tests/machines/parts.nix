# What the machines have in common: the least that a person has to say, and where to look.
{
  lib,
  pkgs,
  test,
  ...
}:

let
  inherit (test) is contains;
in
rec {
  gabriel.users.users.gabriel = {
    isNormalUser = true;
    uid = 1000;
    hashedPassword = "$y$j9T$salt$hash";
  };

  # The least that a person has to say.
  minimal = {
    imports = [
      ../../.
      gabriel
    ];
    services.colord.enable = true;
    ebb.enable = true;
    ebb.persist."/persist" = {
      directories = [
        "/var/log"
        "/var/lib/bluetooth"
        {
          path = "/var/lib/colord";
          user = "colord";
          group = "colord";
          mode = "0700";
        }
      ];
      files = [ "/etc/machine-id" ];
      users.gabriel = {
        directories = [
          ".ssh"
          ".mozilla"
          ".local/state/nvim"
        ];
        files = [ ".bash_history" ];
      };
    };
  };
  # On a root in memory, builds have to go elsewhere.
  buildsOnDisk.systemd.services.nix-daemon.environment.TMPDIR = "/nix/tmp";
  shellForAll.boot.initrd.systemd.emergencyAccess = true;

  readOnlyEtc = {
    boot.kernelPackages = pkgs.linuxPackages_latest;
    system.etc.overlay.enable = true;
    system.etc.overlay.mutable = false;
    users.mutableUsers = false;
    users.users.root.initialHashedPassword = "$y$j9T$salt$hash";
  };
  machineIdIsMounted = config: [
    (is "the machine-id is mounted" { path = "/etc/machine-id"; } (
      entry config "files" "/etc/machine-id"
    ))
    (is "on an empty file" "" config.environment.etc.machine-id.text)
  ];

  unit = config: name: config.boot.initrd.systemd.units.${name}.text;
  store = config: config.ebb.settings.stores."/persist";
  pathsOf = entries: map (entry: entry.path) entries;
  entry =
    config: kind: path:
    lib.findFirst (entry: entry.path == path) { } (store config).${kind};

  deviceIs = device: config: [
    (is "the device is that of the root" device config.ebb.settings.root.device)
    (contains "rollback needs the device" "Requires=${escape device}.device" (
      unit config "ebb-rollback.service"
    ))
    (contains "rollback waits for the device" "After=${escape device}.device" (
      unit config "ebb-rollback.service"
    ))
  ];
  # systemd.unit(5), of the characters that occur here
  escape =
    path:
    lib.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] (lib.removePrefix "/" path);

  storePath = value: builtins.unsafeDiscardStringContext (toString value);
}
