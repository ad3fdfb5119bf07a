# A machine on which every service is enabled that the catalog has an option for, as far as this
# NixOS has the option; nobody could build it. It is for looking at what NixOS says of the
# directories of each.
{
  catalog,
  evaluate,
  layouts,
  lib,
  pkgs,
  ...
}:
let
  inherit (evaluate [ layouts.btrfs ]) options;

  names = lib.splitString ".";
  optionAt =
    name:
    let
      found = lib.attrByPath (names name) null options;
    in
    if lib.isOption found && found.visible or true != false then found else null;
  exists = name: optionAt name != null;

  # Its module reads what a derivation makes, which has to be built for that.
  built = [ "services.opensnitch.enable" ];

  switches = lib.filter (
    name: exists name && (optionAt name).type.name == "bool" && !(lib.elem name built)
  ) (lib.unique (lib.concatMap (entry: entry.options or [ ]) (lib.filter isOfSystem catalog)));
  isOfSystem = entry: !(lib.hasPrefix "~/" entry.path);

  # What some cannot do without.
  settings = {
    "security.acme.acceptTerms" = true;
    "security.acme.certs" = {
      "example.org" = {
        email = "admin@example.org";
        webroot = "/srv/acme";
      };
    };
    "services.btrbk.instances".persist = { };
    "services.freshrss.baseUrl" = "https://rss.example.org";
    "services.freshrss.passwordFile" = "/run/secrets/password";
    "services.grafana.settings" = { };
    "services.home-assistant.config" = { };
    "services.hydra.hydraURL" = "https://hydra.example.org";
    "services.hydra.notificationSender" = "hydra@example.org";
    "services.kubernetes.apiserver.serviceAccountKeyFile" = "/run/secrets/key";
    "services.kubernetes.apiserver.serviceAccountSigningKeyFile" = "/run/secrets/key";
    "services.kubernetes.masterAddress" = "kubernetes.example.org";
    "services.mastodon.localDomain" = "social.example.org";
    "services.mastodon.smtp.fromAddress" = "mastodon@example.org";
    "services.mastodon.streamingProcesses" = 1;
    "services.matrix-synapse.settings".server_name = "example.org";
    "services.minecraft-server.eula" = true;
    "services.mysql.package" = pkgs.mariadb;
    "services.nextcloud.config.adminpassFile" = "/run/secrets/password";
    "services.nextcloud.hostName" = "cloud.example.org";
    "services.photoprism.originalsPath" = "/srv/photos";
    "services.yggdrasil.enable" = true;
    # Two of them say what the session is.
    "services.displayManager.execCmd" = "true";
  }
  # Some are not free, and all that is asked of them is a path.
  // lib.genAttrs [
    "services.elasticsearch.package"
    "services.hydra.package"
    "services.minecraft-server.package"
    "services.mongodb.package"
    "services.plex.package"
    "services.sabnzbd.package"
    "services.unifi.jrePackage"
    "services.unifi.mongodbPackage"
    "services.unifi.unifiPackage"
    "services.zerotierone.package"
  ] (_: pkgs.hello);

  # Some rule others out.
  set = name: value: lib.setAttrByPath (names name) (lib.mkForce value);
  machine = evaluate (
    [ layouts.btrfs ]
    ++ map (name: set name true) switches
    ++ lib.mapAttrsToList set (lib.filterAttrs (name: _: exists name) settings)
  );
in
{
  inherit (machine) config;

  # Is it enabled, by any of its options?
  isOn = entry: lib.any (name: lib.elem name switches || settings ? ${name} && exists name) (entry.options or [ ]);

  # The values of an option, of a list each of them, as text; null where there is no such
  # option, or its value is none's to know.
  textsOf =
    name:
    let
      value = builtins.tryEval (lib.attrByPath (names name) null machine.config);
    in
    if !(exists name) || !value.success then
      null
    else
      map (it: toString (it.path or it)) (lib.toList value.value);
}
