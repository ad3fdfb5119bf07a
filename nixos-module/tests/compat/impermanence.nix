# environment.persistence: what is documented of it, and each of its options.
{
  common,
  evaluate,
  layouts,
  lib,
  nixpkgs,
  pkgs,
  test,
  ...
}:

let
  inherit (common)
    at
    directory
    disk
    errorsOf
    failsWith
    file
    inHome
    isSystem
    keptBy
    machineId
    user
    warningsOf
    warnsOnce
    ;
  inherit (test) is has contains;

  configOf = modules: (evaluate ([ ../../compat/impermanence.nix ] ++ modules)).config;
  onDisk = module: configOf [
    (disk "/persistent")
    (user "bird")
    module
  ];
  hide = entry: entry // { hidden = true; };

  # The example of its documentation.
  documented = onDisk {
    services.colord.enable = true;
    environment.persistence."/persistent" = {
      enable = true;
      hideMounts = true;
      directories = [
        "/var/log"
        "/var/lib/bluetooth"
        "/var/lib/nixos"
        "/var/lib/systemd/coredump"
        "/etc/NetworkManager/system-connections"
        {
          directory = "/var/lib/colord";
          user = "colord";
          group = "colord";
          mode = "u=rwx,g=rx,o=";
        }
      ];
      files = [
        "/etc/machine-id"
        {
          file = "/var/keys/secret_file";
          parentDirectory.mode = "u=rwx,g=,o=";
        }
      ];
      users.bird = {
        directories = [
          "Downloads"
          "VirtualBox VMs"
          {
            directory = ".gnupg";
            mode = "0700";
          }
          {
            directory = ".local/share/keyrings";
            mode = "0700";
          }
          ".local/share/direnv"
        ];
        files = [ ".screenrc" ];
      };
    };
  };

  # Every option that the documentation leaves out.
  full = onDisk {
    fileSystems."/data" = layouts.subvolume "/dev/root_vg/root" "data";
    users.users.anna = {
      isNormalUser = true;
      uid = 1001;
      home = "/srv/homes/anna";
    };
    services.openssh.enable = true;
    ebb.root.kind = "none";
    environment.persistence = {
      # The name is no path.
      main = {
        persistentStoragePath = "/persistent/";
        allowTrash = true;
        directories = [
          # as sloppy as they may be
          "var/lib/one/"
          "/var//lib/two"
          {
            directory = "/var/lib/three";
            hideMount = true;
            allowTrash = false;
            user = "bird";
          }
          {
            directory = "/var/lib/elsewhere";
            persistentStoragePath = "/data";
            group = "users";
            mode = "g-rx,o-rx";
          }
          {
            directory = "projects";
            home = "/srv/homes/anna";
            user = "anna";
          }
        ];
        files = [
          {
            file = "/etc/machine-id";
            method = "symlink";
          }
          "/etc/adjtime"
          "/etc/ssh/ssh_host_ed25519_key"
          {
            file = "/etc/tool.conf";
            method = "symlink";
          }
          {
            file = "/srv/tool/state";
            parentDirectory = {
              user = "bird";
              group = "users";
              mode = "0710";
            };
          }
        ];
        users.anna = {
          directories = [
            "/absolute"
            {
              directory = "shared";
              group = "wheel";
              mode = "2770";
            }
          ];
          files = [
            {
              file = ".tool/state";
              parentDirectory.mode = "0711";
            }
          ];
        };
      };
      "/data" = {
        hideMounts = true;
        directories = [ "/var/lib/data" ];
        files = [ "/var/lib/file" ];
      };
      "/nowhere" = {
        enable = false;
        directories = [ "/var/lib/nothing" ];
      };
    };
  };
  trash = entry: entry // { trash = true; };
  anna = entry: {
    user = "anna";
    uid = 1001;
    group = "users";
    gid = 100;
    mode = "0700";
    parent = {
      user = "anna";
      uid = 1001;
      group = "users";
      gid = 100;
      mode = "0700";
    };
  } // entry;

  # One entry within another.
  nested = onDisk {
    fileSystems."/data" = layouts.subvolume "/dev/root_vg/root" "data";
    environment.persistence."/persistent" = {
      directories = [
        "/var/lib/outer"
        "/var/lib/outer/inner"
        "/var/lib/outerwear"
        "/var/lib/twice"
      ];
      files = [
        "/var/lib/outer/deep/er/file"
        # once said and said again
        "/etc/machine-id"
        "/etc/machine-id"
      ];
      users.bird.directories = [
        ".local"
        ".local/share/app"
      ];
    };
    environment.persistence.again = {
      persistentStoragePath = "/persistent";
      directories = [
        {
          directory = "/var/lib/twice";
          mode = "0700";
        }
      ];
    };
    environment.persistence."/data".directories = [ "/var/lib/outer/other-store" ];
  };

  clashing = onDisk {
    fileSystems."/data" = layouts.subvolume "/dev/root_vg/root" "data";
    environment.persistence."/persistent".directories = [
      "/var/lib/a"
      "/srv"
      "/srv/b/c"
    ];
    environment.persistence."/data".directories = [
      "/var/lib/a"
      # /srv/b/c would be hidden by this one if it merely came along with /srv
      "/srv/b"
    ];
  };

  removed = onDisk {
    users.users.anna.isNormalUser = true;
    environment.persistence."/persistent" = {
      allowOther = true;
      removePrefixDirectory = false;
      defaultDirectoryMethod = "symlink";
      directories = [
        {
          directory = "/var/lib/a";
          method = "bindfs";
        }
      ];
      users.anna = {
        home = "/home/anna";
        directories = [ "b" ];
      };
    };
  };

  quiet = onDisk {
    environment.persistence."/persistent" = {
      enableWarnings = false;
      enableDebugging = true;
      directories = [
        "/var/log"
        "/var/log/journal"
      ];
    };
    # as others' scripts name them
    system.activationScripts.persist-files.deps = [ "mine" ];
    system.activationScripts.mine = {
      deps = [ "createPersistentStorageDirs" ];
      text = "true";
    };
  };

  logs.environment.persistence."/persistent".directories = [ "/var/log" ];
  kindOf = config: config.ebb.settings.root.kind;

  inactive = onDisk {
    environment.persistence."/persistent" = {
      enable = false;
      directories = [ "/var/log" ];
    };
  };

  tmpfs = configOf [
    layouts.tmpfs
    { environment.persistence."/persist".directories = [ "/var/log" ]; }
  ];

  rollsBack = onDisk {
    imports = [ logs ];
    ebb.root.keep.days = 7;
  };

  # The example of its documentation for stage 1 without systemd.
  snippet = onDisk {
    imports = [ logs ];
    boot.initrd.postResumeCommands = lib.mkAfter ''
      mount /dev/root_vg/root /btrfs_tmp
      mv /btrfs_tmp/root /btrfs_tmp/old_roots/$(date +%s)
      btrfs subvolume create /btrfs_tmp/root
    '';
  };

  # What a configuration says of stage 1 that is older than systemd there: nothing.
  # The same with other means, since what all tests have in common does say it.
  scripted =
    (import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        ../../compat/impermanence.nix
        (disk "/persistent")
        logs
        {
          nixpkgs.pkgs = pkgs;
          ebb.root.kind = "none";
          system.stateVersion = "24.05";
        }
      ];
    }).config;

  # Three stores, none of which has what tells the main one.
  many = onDisk {
    environment.persistence."/a".directories = [ "/var/lib/a" ];
    environment.persistence."/m".directories = [
      "/var/lib/m"
      "/var/lib/n"
    ];
    environment.persistence."/z".directories = [ "/var/lib/z" ];
  };
in
[
  (is "documented: what the config says"
    {
      "/persistent" = {
        directories =
          map hide [
            (at "/var/log")
            (at "/var/lib/bluetooth")
            (at "/var/lib/nixos")
            (at "/var/lib/systemd/coredump")
            (at "/etc/NetworkManager/system-connections")
            {
              path = "/var/lib/colord";
              user = "colord";
              group = "colord";
              mode = "0750";
            }
          ]
          ++ map (path: hide (directory "bird" path)) [
            "Downloads"
            "VirtualBox VMs"
            ".gnupg"
            ".local/share/keyrings"
            ".local/share/direnv"
          ];
        files = [
          machineId
          {
            path = "/var/keys/secret_file";
            parent.mode = "0700";
            hidden = true;
          }
          (hide (file "bird" ".screenrc"))
        ];
      };
    }
    (keptBy documented)
  )
  (is "documented: ebb is on" true documented.ebb.enable)
  (is "documented: nothing is destroyed" { kind = "none"; on_failure = "continue"; }
    documented.ebb.settings.root
  )
  (is "documented: no error" [ ] (errorsOf documented))
  (isSystem "documented" documented)
]
++ warnsOnce "documented" documented [
  "configuration for impermanence"
  "ebb.root.kind = \"btrfs\""
] [ "has no meaning" ]
++ [
  (is "full: the store whose name is no path"
    {
      directories =
        map trash [
          (at "/var/lib/one")
          (at "/var/lib/two")
        ]
        ++ [
          {
            path = "/var/lib/three";
            hidden = true;
            user = "bird";
            uid = 1000;
            group = "root";
            gid = 0;
          }
          {
            path = "/srv/homes/anna/projects";
            trash = true;
            user = "anna";
            uid = 1001;
            # as it is there: to name a user does not change the group
            group = "root";
            gid = 0;
          }
        ]
        ++ map (entry: trash (anna entry)) [
          { path = "/srv/homes/anna/absolute"; }
          {
            path = "/srv/homes/anna/shared";
            group = "wheel";
            gid = 1;
            mode = "2770";
          }
        ]
        ++ [ (at "/var/lib/nixos") ];
      files = [
        machineId
        {
          path = "/etc/adjtime";
          how = "sync";
        }
        {
          path = "/etc/ssh/ssh_host_ed25519_key";
          how = "symlink";
        }
        {
          path = "/etc/tool.conf";
          how = "symlink";
        }
        {
          path = "/srv/tool/state";
          parent = {
            user = "bird";
            uid = 1000;
            group = "users";
            gid = 100;
            mode = "0710";
          };
        }
        (anna {
          path = "/srv/homes/anna/.tool/state";
          mode = "0600";
          parent = (anna { }).parent // {
            mode = "0711";
          };
        })
      ];
    }
    (keptBy full)."/persistent"
  )
  (is "full: what is said of one entry's store"
    {
      directories = [
        (hide (at "/var/lib/data"))
        {
          path = "/var/lib/elsewhere";
          group = "users";
          gid = 100;
          mode = "0700";
          trash = true;
        }
      ];
      files = [ (hide (at "/var/lib/file")) ];
    }
    (keptBy full)."/data"
  )
  (is "full: what is switched off" [ "/data" "/persistent" ] (lib.attrNames (keptBy full)))
  (is "full: no error" [ ] (errorsOf full))
  (is "full: nothing to say" [ ] (warningsOf "compat" full))

  (is "nested: what comes along anyhow is left out"
    {
      "/persistent" = {
        directories = map at [
          "/var/lib/outer"
          "/var/lib/outerwear"
          "/var/lib/twice"
        ]
        ++ [
          (directory "bird" ".local")
          (at "/var/lib/nixos")
        ];
        files = [ machineId ];
      };
      "/data".directories = [ (at "/var/lib/outer/other-store") ];
    }
    (keptBy nested)
  )
  (is "nested: no error" [ ] (errorsOf nested))
]
++ warnsOnce "nested" nested [
  "\"/var/lib/outer/inner\" comes along with \"/var/lib/outer\""
  "\"/var/lib/outer/deep/er/file\" comes along with \"/var/lib/outer\""
  "environment.persistence.\"/persistent\".users.bird: \"/home/bird/.local/share/app\" comes along"
  "\"/var/lib/twice\" is declared more than once"
] [
  "other-store"
  "outerwear"
  "machine-id"
]
++ [
  (failsWith "clashing: one path in two stores" "ebb: entry-twice: " clashing)
  (failsWith "clashing: which of them" "/var/lib/a" clashing)
  (failsWith "clashing: what would not be seen any more" "/srv/b/c" clashing)

  (failsWith "removed: allowOther" "allowOther" removed)
  (failsWith "removed: removePrefixDirectory" "removePrefixDirectory" removed)
  (failsWith "removed: defaultDirectoryMethod" "defaultDirectoryMethod" removed)
  (failsWith "removed: method of a directory" "how = \"symlink\"" removed)
  (failsWith "removed: home of a user" "users.users.<name>.home" removed)
  (failsWith "removed: where" "persistence.\"/persistent\".users.\"anna\"" removed)
  (is "removed: nothing else is wrong" 5 (lib.length (errorsOf removed)))

  (is "quiet: nothing is said" [ ] (warningsOf "compat" quiet))
  (has "quiet: more is said at boot" "ebb.log=debug" quiet.boot.kernelParams)
  (contains "quiet: scripts of others find theirs" "persist-files" quiet.system.activationScripts.script)
  (is "not quiet: nothing more is said at boot" [ ] documented.ebb.kernelParams)

  (is "switched off: ebb, too" false inactive.ebb.enable)
  (is "switched off: nothing is kept" { } inactive.ebb.persist)
  (is "switched off: no script" false (inactive.system.activationScripts ? persist-files))

  (is "many: ebb's own go where most is" "/m" many.ebb.mainStore)
  (is "full: and where the machine-id is" "/persistent" full.ebb.mainStore)

  (is "tmpfs: it is as fresh as ever" "tmpfs" (kindOf tmpfs))
  (is "tmpfs: nothing to say" [ ] (warningsOf "compat" tmpfs))

  (is "a rollback that something is said of" "btrfs" (kindOf rollsBack))
  (is "a rollback that something is said of: nothing to say" [ ] (warningsOf "compat" rollsBack))

  (failsWith "rollback in shell: what to do" "ebb: compat: boot.initrd.postResumeCommands" snippet)
  (is "no rollback in shell" [ ] (lib.filter (lib.hasPrefix "ebb: compat") (errorsOf documented)))

  (is "stage 1 becomes systemd's" true scripted.boot.initrd.systemd.enable)
]
# It has been, by itself, since 26.05.
++ lib.optionals (!(evaluate [ layouts.btrfs ]).options.boot.initrd.systemd.enable.default) (
  warnsOnce "stage 1 becomes systemd's" scripted [ "boot.initrd.systemd.enable = true" ] [ "comes along" ]
)
++ common.isDocumented "impermanence" "options" {
  inherit
    ((evaluate [
      layouts.btrfs
      ../../compat/impermanence.nix
    ]).options.environment
    )
    persistence
    ;
}
