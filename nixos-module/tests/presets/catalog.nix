# The options that the catalog names are there, in this nixpkgs or in another one.
{
  evaluate,
  layouts,
  lib,
  test,
  ...
}:
let
  catalog = (builtins.fromJSON (builtins.readFile ../../../catalog/catalog.json)).entries;

  # By the release that has them first, or that has them no more.
  newSince = {
    "boot.loader.limine.secureBoot.enable" = "25.05";
    "hardware.alsa.enablePersistence" = "24.11";
    "networking.modemmanager.enable" = "24.11";
    "programs.obs-studio.enable" = "24.11";
    "programs.thunderbird.enable" = "24.11";
    "services.cloudflare-warp.enable" = "24.11";
    "services.desktopManager.gnome.enable" = "25.11";
    "services.immich.enable" = "24.11";
    "services.immich.mediaLocation" = "24.11";
    "services.openssh.generateHostKeys" = "25.11";
    "services.pulseaudio.enable" = "25.05";
  };
  goneSince = {
    "hardware.pulseaudio.enable" = "25.05";
    "services.xserver.desktopManager.gnome.enable" = "25.11";
    "services.xserver.desktopManager.plasma5.enable" = "25.11";
    "sound.enable" = "24.11";
    "virtualisation.lxd.enable" = "25.11";
  };
  ofOthers = [ "boot.lanzaboote.enable" ];

  inherit (evaluate [ layouts.btrfs ]) options;

  exists =
    name:
    let
      find =
        names: tree:
        if lib.isOption tree then
          tree.visible or true != false && (names == [ ] || lib.elem "*" names)
        else
          names != [ ] && tree ? ${lib.head names} && find (lib.tail names) tree.${lib.head names};
    in
    find (lib.splitString "." name) options;

  release = lib.trivial.release;
  excused =
    name:
    lib.elem name ofOthers
    || newSince ? ${name} && lib.versionOlder release newSince.${name}
    || goneSince ? ${name} && !(lib.versionOlder release goneSince.${name});

  named = lib.unique (lib.concatMap (entry: entry.options or [ ] ++ lib.optional (entry ? at) entry.at) catalog);

in
[
  (test.is "every option exists" [ ] (lib.filter (name: !(exists name) && !(excused name)) named))
  (test.is "nothing is excused that is not named" [ ] (
    lib.subtractLists named (ofOthers ++ lib.attrNames newSince ++ lib.attrNames goneSince)
  ))
  (test.is "there are entries for more than 100 options" true (lib.length named > 100))
]
