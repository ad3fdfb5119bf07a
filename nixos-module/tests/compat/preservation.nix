# preservation.preserveAt: what is documented of it, and each of its options.
{
  common,
  evaluate,
  layouts,
  lib,
  test,
  ...
}:

let
  inherit (common)
    at
    directory
    disk
    errorsOf
    file
    inHome
    isSystem
    keptBy
    machineId
    user
    warningsOf
    warnsOnce
    ;
  inherit (test) is;

  onDisk =
    module:
    (evaluate [
      ../../compat/preservation.nix
      (disk "/persistent")
      (user "butz")
      module
    ]).config;

  linked = entry: entry // { how = "symlink"; };
  hide = entry: entry // { options = [ "x-gvfs-hide" ]; };

  # The first example of its documentation.
  simple = onDisk {
    preservation = {
      enable = true;
      preserveAt."/persistent" = {
        files = [
          {
            file = "/etc/machine-id";
            inInitrd = true;
          }
        ];
        directories = [
          "/var/lib/systemd/timers"
          "/var/lib/nixos"
          "/var/log"
        ];
      };
    };
    systemd.suppressedSystemUnits = [ "systemd-machine-id-commit.service" ];
  };

  # The second: the id of the machine behind a link, for a first boot to be one.
  firstBoot = onDisk {
    preservation = {
      enable = true;
      preserveAt."/persistent".files = [
        {
          file = "/etc/machine-id";
          inInitrd = true;
          how = "symlink";
          configureParent = true;
        }
      ];
    };
    systemd.services.systemd-machine-id-commit = {
      unitConfig.ConditionPathIsMountPoint = [
        ""
        "/persistent/etc/machine-id"
      ];
      serviceConfig.ExecStart = [
        ""
        "systemd-machine-id-setup --commit --root /persistent"
      ];
    };
  };

  # The third.
  complex = onDisk {
    services.openssh.enable = true;
    preservation = {
      enable = true;
      preserveAt."/persistent" = {
        directories = [
          "/etc/secureboot"
          "/var/lib/bluetooth"
          "/var/lib/fwupd"
          "/var/lib/systemd/coredump"
          "/var/lib/systemd/rfkill"
          "/var/lib/systemd/timers"
          "/var/log"
          {
            directory = "/var/lib/nixos";
            inInitrd = true;
          }
        ];
        files = [
          {
            file = "/etc/machine-id";
            inInitrd = true;
          }
          {
            file = "/etc/ssh/ssh_host_rsa_key";
            how = "symlink";
            configureParent = true;
          }
          {
            file = "/etc/ssh/ssh_host_ed25519_key";
            how = "symlink";
            configureParent = true;
          }
          "/var/lib/usbguard/rules.conf"
          {
            file = "/var/lib/systemd/random-seed";
            how = "symlink";
            inInitrd = true;
            configureParent = true;
          }
        ];
        users = {
          butz = {
            commonMountOptions = [ "x-gvfs-hide" ];
            directories = [
              {
                directory = ".ssh";
                mode = "0700";
              }
              ".config/syncthing"
              ".local/state/nvim"
              ".mozilla"
            ];
            files = [ ".histfile" ];
          };
          root = {
            home = "/root";
            directories = [
              {
                directory = ".ssh";
                mode = "0700";
              }
            ];
          };
        };
      };
    };
    # that the documentation needs it for the parents does not harm
    systemd.tmpfiles.settings.preservation = {
      "/home/butz/.config".d = {
        user = "butz";
        group = "users";
        mode = "0755";
      };
    };
  };

  # Every option that the examples leave out.
  full = onDisk {
    users.users.alice = {
      isNormalUser = true;
      uid = 1001;
      home = "/home/wonderland";
    };
    ebb.root.kind = "none";
    preservation = {
      enable = true;
      preserveAt.main = {
        persistentStoragePath = "/persistent";
        commonMountOptions = [ "x-foo" ];
        directories = [
          {
            directory = "/var/lib/service";
            how = "bindmount";
            user = "butz";
            mountOptions = [
              "noexec"
              {
                name = "x-value";
                value = "3";
              }
            ];
          }
          {
            directory = "/srv/shared";
            user = "root";
            group = "users";
            mode = "~02775";
            configureParent = true;
            parent = {
              user = "butz";
              group = "users";
              mode = "0710";
            };
          }
          {
            directory = "/srv/between";
            how = "_intermediate";
            mode = "0711";
          }
        ];
        files = [
          # what ebb does with these is up to ebb, so there are no options
          "/etc/adjtime"
          {
            file = "/etc/wpa_supplicant.conf";
            how = "symlink";
            user = "butz";
            group = "users";
            mode = "0600";
          }
          {
            file = "/srv/foo/bar";
            user = "butz";
            group = "users";
            # without configureParent
            parent.mode = "0700";
          }
        ];
        users = {
          wonderland = {
            username = "alice";
            directories = [ ".rabbit_hole" ];
          };
          butz = {
            commonMountOptions = [ "x-bar" ];
            directories = [
              "foo/bar/baz"
              {
                directory = "linked/deeper";
                how = "symlink";
              }
            ];
            files = [
              {
                file = "options";
                mountOptions = [ "x-baz" ];
              }
              {
                file = ".links/made";
                how = "symlink";
                createLinkTarget = true;
                mode = "0640";
              }
            ];
          };
          guest = {
            username = "butz";
            home = "/srv/guest";
            directories = [ "data" ];
          };
        };
      };
    };
  };
  alice = {
    user = "alice";
    uid = 1001;
    group = "users";
    gid = 100;
  };
  butz = {
    user = "butz";
    uid = 1000;
    group = "users";
    gid = 100;
  };
  options = list: entry: entry // { options = list; };

  talkative = onDisk {
    fileSystems."/data" = layouts.subvolume "/dev/root_vg/root" "data";
    ebb.root.kind = "none";
    preservation.enable = true;
    preservation.preserveAt."/persistent" = {
      directories = [
        "/var/lib/outer"
        "/var/lib/outer/inner"
        {
          directory = "/var/lib/net";
          mountOptions = [
            "_netdev"
            "x-systemd.after=network.target"
            "nosuid"
          ];
        }
        {
          directory = "/var/lib/link";
          how = "symlink";
          createLinkTarget = true;
        }
      ];
    };
    preservation.preserveAt."/data".directories = [ "/var/lib/outer/other-store" ];
  };

  off = onDisk {
    preservation.preserveAt."/persistent".directories = [ "/var/log" ];
  };

  # Both at once.
  both =
    (evaluate [
      ../../compat/preservation.nix
      ../../compat/impermanence.nix
      (disk "/persistent")
      {
        preservation.enable = true;
        preservation.preserveAt."/persistent".directories = [ "/var/log" ];
        environment.persistence."/persistent".directories = [ "/var/lib/bluetooth" ];
      }
    ]).config;

  # The order in which lists of options are merged is the module system's.
  sortOptions =
    entry:
    entry // lib.optionalAttrs (entry ? options) { options = lib.sort lib.lessThan entry.options; };

  settled = keptBy;
  rule = config: config.systemd.tmpfiles.settings.ebb-preservation;
  attributes = lib.getAttrs [ "user" "group" "mode" ];
in
[
  (is "simple: what the config says"
    {
      "/persistent" = {
        directories = map at [
          "/var/lib/systemd/timers"
          "/var/lib/nixos"
          "/var/log"
        ];
        files = [ machineId ];
      };
    }
    (settled simple)
  )
  (is "simple: no error" [ ] (errorsOf simple))
  (is "simple: the id is committed" [ "sysinit.target" ] simple.systemd.services.ebb-machine-id.wantedBy)
]
++ warnsOnce "simple" simple [
  "configuration for preservation"
  "inInitrd (of /etc/machine-id)"
  "systemd.suppressedSystemUnits"
  "ebb.root.kind"
] [
  "how (of /etc/machine-id)"
  "systemd.services.systemd-machine-id-commit"
]
++ [
  (is "first boot: the id is a copy" [ machineId ] (settled firstBoot)."/persistent".files)
  (is "first boot: no error" [ ] (errorsOf firstBoot))
  (is "first boot: the id is committed" "/etc/machine-id"
    firstBoot.systemd.services.ebb-machine-id.unitConfig.ConditionPathIsMountPoint
  )
]
++ warnsOnce "first boot" firstBoot [
  "how (of /etc/machine-id)"
  "systemd.services.systemd-machine-id-commit"
] [ "suppressedSystemUnits" ]
++ [
  (is "complex: what the config says"
    {
      "/persistent" = {
        directories = map at [
          "/etc/secureboot"
          "/var/lib/bluetooth"
          "/var/lib/fwupd"
          "/var/lib/systemd/coredump"
          "/var/lib/systemd/rfkill"
          "/var/lib/systemd/timers"
          "/var/log"
          "/var/lib/nixos"
        ]
        ++ map (path: hide (directory "butz" path)) [
          ".ssh"
          ".config/syncthing"
          ".local/state/nvim"
          ".mozilla"
        ]
        ++ [
          rec {
            path = "/root/.ssh";
            user = "root";
            uid = 0;
            group = "root";
            gid = 0;
            mode = "0700";
            parent = {
              inherit
                user
                uid
                group
                gid
                ;
            };
          }
        ];
        files = [
          machineId
          (linked (at "/etc/ssh/ssh_host_rsa_key"))
          (linked (at "/etc/ssh/ssh_host_ed25519_key"))
          (at "/var/lib/usbguard/rules.conf")
          (linked (at "/var/lib/systemd/random-seed"))
          (hide (file "butz" ".histfile"))
        ];
      };
    }
    (settled complex)
  )
  (is "complex: no error" [ ] (errorsOf complex))
  (isSystem "complex" complex)
]
++ warnsOnce "complex" complex [
  "inInitrd (of /var/lib/nixos, /etc/machine-id, /var/lib/systemd/random-seed)"
] [ "mountOptions" ]
++ [
  (is "full: directories"
    [
      {
        path = "/var/lib/service";
        user = "butz";
        uid = 1000;
        group = "root";
        gid = 0;
        options = [
          "noexec"
          "x-foo"
          "x-value=3"
        ];
      }
      {
        path = "/srv/shared";
        user = "root";
        uid = 0;
        group = "users";
        gid = 100;
        mode = "2775";
        parent = butz // {
          mode = "0710";
        };
        options = [ "x-foo" ];
      }
      (
        butz
        // {
          path = "/srv/guest/data";
          mode = "0700";
          parent = butz;
          options = [ "x-foo" ];
        }
      )
      (
        alice
        // {
          path = "/home/wonderland/.rabbit_hole";
          mode = "0700";
          parent = alice;
          options = [ "x-foo" ];
        }
      )
      (options [ "x-bar" "x-foo" ] (directory "butz" "foo/bar/baz"))
      (linked (directory "butz" "linked/deeper"))
      (at "/var/lib/nixos")
    ]
    (map sortOptions (settled full)."/persistent".directories)
  )
  (is "full: files"
    [
      {
        path = "/etc/adjtime";
        how = "sync";
      }
      (
        butz
        // {
          path = "/etc/wpa_supplicant.conf";
          how = "symlink";
          mode = "0600";
        }
      )
      (
        butz
        // {
          path = "/srv/foo/bar";
          options = [ "x-foo" ];
        }
      )
      (options [ "x-bar" "x-baz" "x-foo" ] (file "butz" "options"))
      (linked (inHome "butz" {
        path = ".links/made";
        mode = "0640";
      }))
      machineId
    ]
    (map sortOptions (settled full)."/persistent".files)
  )
  (is "full: what is there and not kept"
    {
      user = "root";
      group = "root";
      mode = "0711";
    }
    (attributes (rule full)."/srv/between".d)
  )
  (is "full: and in the store"
    {
      user = "root";
      group = "root";
      mode = "0711";
    }
    (attributes (rule full)."/persistent/srv/between".d)
  )
  (is "full: the file that a link leads to"
    {
      user = "butz";
      group = "users";
      mode = "0640";
    }
    (attributes (rule full)."/persistent/home/butz/.links/made".f)
  )
  (is "full: and no other rule" 3 (lib.length (lib.attrNames (rule full))))
  (is "full: no error" [ ] (errorsOf full))
  (is "full: nothing to say" [ ] (warningsOf "compat" full))
]
++ warnsOnce "talkative" talkative [
  "\"/var/lib/outer/inner\" comes along with \"/var/lib/outer\""
  "mountOptions _netdev, x-systemd.after=network.target (of /var/lib/net)"
  "createLinkTarget (of /var/lib/link)"
] [
  "other-store"
  "nosuid"
  "ebb.root.kind"
]
++ [
  (is "talkative: an option that a bind mount has" [ "nosuid" ]
    (lib.findFirst (entry: entry.path == "/var/lib/net") { } (settled talkative)."/persistent".directories)
    .options
  )
  (is "off: ebb, too" false off.ebb.enable)
  (is "off: nothing is kept" { } off.ebb.persist)
  (is "units of others find theirs, in stage 1" [ "ebb-mount.service" ]
    simple.boot.initrd.systemd.targets.initrd-preservation.after
  )
  (is "units of others find theirs" [ "sysinit.target" ] simple.systemd.targets.preservation.wantedBy)

  (is "both: what the config says" [ "/var/lib/bluetooth" "/var/log" "/var/lib/nixos" ] (
    map (entry: entry.path) (settled both)."/persistent".directories
  ))
]
++ warnsOnce "both" both [ "configuration for impermanence and preservation" ] [ ]
++ common.isDocumented "preservation" "options" {
  inherit
    ((evaluate [
      layouts.btrfs
      ../../compat/preservation.nix
    ]).options
    )
    preservation
    ;
}
