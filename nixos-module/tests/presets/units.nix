# The StateDirectory= of every enabled service.
arguments@{ layouts, lib, test, ... }:
let
  machine = import ./machine.nix arguments;

  unit = serviceConfig: { inherit serviceConfig; };

  units = machine [
    layouts.btrfs
    {
      users.users.ann = {
        isSystemUser = true;
        group = "people";
      };
      users.groups.people = { };
      users.groups.others = { };

      systemd.services = {
        plain = unit { StateDirectory = "plain"; };
        owned = unit {
          StateDirectory = "owned";
          User = "ann";
        };
        grouped = unit {
          StateDirectory = "grouped";
          User = "ann";
          Group = "others";
          StateDirectoryMode = "0750";
        };
        numbered = unit {
          StateDirectory = "numbered";
          User = 12345;
          StateDirectoryMode = 700;
        };
        unknown = unit {
          StateDirectory = "unknown";
          User = "whoever";
        };
        dynamic = unit {
          StateDirectory = "dynamic";
          DynamicUser = true;
        };
        dynamic-text = unit {
          StateDirectory = "dynamic-text";
          DynamicUser = "yes";
          User = "dynamic-text";
        };
        dynamic-mode = unit {
          StateDirectory = "dynamic-mode";
          DynamicUser = true;
          StateDirectoryMode = "0750";
        };
        several = unit { StateDirectory = "several-a several-b several-a/below"; };
        listed = unit {
          StateDirectory = [
            "listed-a"
            "listed-b listed-c"
          ];
        };
        linked = unit { StateDirectory = "linked:other-name linked-ro::ro"; };
        "instance@" = unit { StateDirectory = "instance/%i %p-x"; };
        outside = unit { StateDirectory = "../outside /outside2 \"quoted name\""; };
        nothing = unit { StateDirectory = ""; };
        disabled = unit { StateDirectory = "disabled"; } // {
          enable = false;
        };
      };
    }
  ];

  without = machine [
    layouts.btrfs
    {
      ebb.presets.disable = [ "dropped.service" ];
      systemd.services.dropped = unit { StateDirectory = "dropped"; };
      systemd.services.stays = unit { StateDirectory = "stays"; };
    }
  ];

  # A unit of a package: what NixOS adds to it does not say who owns the directory.
  packaged = machine [
    layouts.btrfs
    {
      ebb.presets.enable = [ "geoclue" ];
      systemd.services.geoclue = unit { StateDirectory = "geoclue"; };
      users.users.geoclue = {
        isSystemUser = true;
        group = "geoclue";
      };
      users.groups.geoclue = { };
    }
  ];

  # The catalog has /var/lib/navidrome and /var/lib/private/ollama, as they are in some
  # releases: a unit that puts it otherwise is right.
  otherwise = machine [
    layouts.btrfs
    {
      ebb.presets.enable = [ "navidrome" "ollama" ];
      systemd.services.navidrome = unit {
        StateDirectory = "navidrome";
        DynamicUser = lib.mkForce true;
      };
      systemd.services.ollama = unit {
        StateDirectory = "ollama";
        DynamicUser = lib.mkForce false;
      };
    }
  ];
in
[
  (test.is "of root" {
    path = "/var/lib/plain";
    mode = "0755";
  } (units.at "/var/lib/plain"))
  (test.is "of a user, with its group" {
    path = "/var/lib/owned";
    user = "ann";
    group = "people";
    mode = "0755";
  } (units.at "/var/lib/owned"))
  (test.is "with a group and a mode" {
    path = "/var/lib/grouped";
    user = "ann";
    group = "others";
    mode = "0750";
  } (units.at "/var/lib/grouped"))
  (test.is "of a number" {
    path = "/var/lib/numbered";
    uid = 12345;
    mode = "0700";
  } (units.at "/var/lib/numbered"))
  (test.is "of somebody unknown, which is left to systemd" {
    path = "/var/lib/unknown";
    mode = "0755";
  } (units.at "/var/lib/unknown"))
  (test.is "with DynamicUser=" {
    path = "/var/lib/private/dynamic";
    mode = "0700";
  } (units.at "/var/lib/private/dynamic"))
  (test.hasNot "but not the link of systemd" "/var/lib/dynamic" units.paths)
  (test.is "with DynamicUser= as text, and a name" {
    path = "/var/lib/private/dynamic-text";
    mode = "0700";
  } (units.at "/var/lib/private/dynamic-text"))
  (test.is "with DynamicUser= and a mode" "0750" (units.at "/var/lib/private/dynamic-mode").mode)
  (test.is "several in one string, those in others left out" [ "/var/lib/several-a" "/var/lib/several-b" ] (
    lib.filter (lib.hasInfix "several") units.paths
  ))
  (test.is "a list" [ "/var/lib/listed-a" "/var/lib/listed-b" "/var/lib/listed-c" ] (
    lib.filter (lib.hasInfix "listed") units.paths
  ))
  (test.is "without links and flags" [ "/var/lib/linked" "/var/lib/linked-ro" ] (
    lib.filter (lib.hasInfix "linked") units.paths
  ))
  (test.hasNot "the link is not kept" "/var/lib/other-name" units.paths)
  (test.has "instances" "/var/lib/instance" units.paths)
  (test.is "no specifiers" [ ] (lib.filter (lib.hasInfix "%") units.paths))
  (test.is "nothing outside of /var/lib, or that cannot be told" [ ] (
    lib.filter (path: lib.hasInfix "outside" path || lib.hasInfix "quoted" path) units.paths
  ))
  (test.hasNot "not what is disabled" "/var/lib/disabled" units.paths)
  (test.hasNot "not /var/lib itself" "/var/lib" units.paths)
  (test.is "the report says why" {
    name = "dynamic.service";
    path = "/var/lib/private/dynamic";
    reason = "StateDirectory= of dynamic.service, with DynamicUser=";
  } (units.reported "/var/lib/private/dynamic"))
  (test.is "no error" [ ] units.errors)

  (test.hasNot "a unit that is turned off" "/var/lib/dropped" without.paths)
  (test.has "the others stay" "/var/lib/stays" without.paths)

  (test.is "the catalog knows the owner where the unit does not" "geoclue" (packaged.at "/var/lib/geoclue").user)
  (test.is "dynamic where the catalog says static" [ "/var/lib/private/navidrome" ] (
    lib.filter (lib.hasInfix "navidrome") otherwise.paths
  ))
  (test.is "static where the catalog says dynamic" [ "/var/lib/ollama" ] (
    lib.filter (lib.hasInfix "ollama") otherwise.paths
  ))
]
