# What is said, and does not end the build.
{
  cases,
  ...
}:

let
  inherit (cases)
    add
    both
    directories
    generatedKeys
    home
    hostKeys
    immutable
    keep
    luks
    onTmpfs
    userborn
    ;
in
{
  luks-timeout = {
    trips = [ (luks "/dev/disk/by-uuid/0b1c2d3e-0000-4000-8000-000000000001") ];
    silent = [ (luks "/dev/mapper/cryptroot") ];
  };

  hibernation = {
    trips = [ (add { swapDevices = [ { device = "/dev/disk/by-label/swap"; } ]; }) ];
    silent = [
      (add {
        swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];
        boot.resumeDevice = "/dev/disk/by-label/swap";
        ebb.root.onFailure = "continue";
      })
      (add {
        swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];
        boot.kernelParams = [ "nohibernate" ];
      })
      (add (
        { options, ... }:
        {
          swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];
          systemd.sleep =
            if options.systemd.sleep ? settings then
              { settings.Sleep.AllowHibernation = false; }
            else
              { extraConfig = "AllowHibernation=no"; };
        }
      ))
      # Nobody resumes from memory, or from a swap whose key is gone.
      (add { zramSwap.enable = true; })
      (add {
        swapDevices = [
          {
            device = "/dev/disk/by-partlabel/swap";
            randomEncryption.enable = true;
          }
        ];
      })
    ];
  };

  hibernation-unresumed = {
    trips = [
      (add {
        swapDevices = [ { device = "/dev/disk/by-label/swap"; } ];
        boot.resumeDevice = "/dev/disk/by-label/swap";
      })
      # swap that is turned on by hand
      (add { boot.resumeDevice = "/dev/disk/by-label/swap"; })
    ];
    silent = [
      (add {
        boot.resumeDevice = "/dev/disk/by-label/swap";
        boot.initrd.systemd.emergencyAccess = "$y$j9T$salt$hash";
        ebb.root.onFailure = "emergency";
      })
      (add {
        boot.resumeDevice = "/dev/disk/by-label/swap";
        ebb.root.onFailure = "continue";
      })
      (add {
        boot.resumeDevice = "/dev/disk/by-label/swap";
        boot.kernelParams = [ "nohibernate" ];
      })
      (add {
        boot.resumeDevice = "/dev/disk/by-label/swap";
        ebb.root.kind = "none";
      })
    ];
  };

  unknown-owner = {
    trips = [
      (add (directories [
        {
          path = "/var/lib/colord";
          user = "colord";
        }
      ]))
    ];
    silent = [
      (add {
        services.colord.enable = true;
        imports = [
          (directories [
            {
              path = "/var/lib/colord";
              user = "colord";
              group = "colord";
            }
          ])
        ];
      })
    ];
  };

  ssh-host-keys = {
    trips = [
      (add { services.openssh.enable = true; })
      (add (both generatedKeys { services.openssh.generateHostKeys = true; }))
    ];
    silent = [
      (add (both generatedKeys { services.openssh.generateHostKeys = false; }))
      (add {
        services.openssh.enable = true;
        imports = [ (keep { files = hostKeys ++ map (key: "${key}.pub") hostKeys; }) ];
      })
      (add {
        services.openssh.enable = true;
        services.openssh.hostKeys = [
          {
            type = "ed25519";
            path = "/persist/etc/ssh/ssh_host_ed25519_key";
          }
        ];
      })
    ];
  };

  required-home = {
    trips = [
      (add (keep {
        users.gabriel.directories = [
          {
            path = "mail";
            required = true;
          }
        ];
      }))
    ];
    silent = [
      (add (
        both (keep {
          users.gabriel.directories = [ "mail" ];
          directories = [
            {
              path = "/var/lib/mail";
              required = true;
            }
          ];
        }) { boot.initrd.systemd.emergencyAccess = true; }
      ))
    ];
  };

  entry-survives = {
    trips = [ (add (both home (keep { users.gabriel.directories = [ ".ssh" ]; }))) ];
    silent = [
      (add {
        imports = [
          home
          (keep { users.gabriel.directories = [ ".ssh" ]; })
        ];
        ebb.root.also.home.subvolume = "@home";
      })
    ];
  };

  second-rollback = {
    trips = [
      (add {
        boot.initrd.systemd.services.rollback = {
          wantedBy = [ "initrd.target" ];
          before = [ "sysroot.mount" ];
          script = ''
            mount /dev/disk/by-label/nixos /mnt
            btrfs subvolume delete /mnt/root
            btrfs subvolume snapshot /mnt/root-blank /mnt/root
          '';
        };
      })
    ];
    silent = [
      (add {
        boot.initrd.systemd.services.unrelated = {
          wantedBy = [ "initrd.target" ];
          before = [ "sysroot.mount" ];
          script = "true";
        };
      })
    ];
  };

  passwords = {
    trips = [ (add { users.users.anna.isNormalUser = true; }) ];
    silent = [
      (add {
        users.users.anna = {
          isNormalUser = true;
          hashedPassword = "$y$j9T$salt$hash";
        };
      })
      (add {
        users.users.anna.isNormalUser = true;
        users.mutableUsers = false;
      })
      # /etc/shadow is a link to where it is kept
      (add (
        both userborn {
          users.users.anna.isNormalUser = true;
          services.userborn.enable = true;
          services.userborn.passwordFilesLocation = "/var/lib/nixos";
        }
      ))
    ];
  };

  sysusers-numbers = {
    trips = [
      (add {
        imports = [
          immutable
          (directories [
            {
              path = "/var/lib/service";
              user = "service";
            }
          ])
        ];
        # where it would remember
        ebb.keepNixosState = false;
        users.users.service = {
          isSystemUser = true;
          group = "service";
        };
        users.groups.service = { };
      })
    ];
    silent = [
      (add {
        imports = [
          immutable
          (directories [
            {
              path = "/var/lib/service";
              user = "service";
            }
          ])
        ];
        users.users.service = {
          isSystemUser = true;
          uid = 900;
          group = "service";
        };
        users.groups.service.gid = 900;
      })
      # as newer releases do
      (add {
        imports = [
          immutable
          (directories [
            {
              path = "/var/lib/service";
              user = "service";
            }
          ])
        ];
        users.users.service = {
          isSystemUser = true;
          group = "service";
        };
        users.groups.service = { };
        systemd.tmpfiles.settings.nixos-uid."/var/lib/nixos/uid/service".f.user = "service";
      })
    ];
  };

  dynamic-user = {
    trips = [
      (add {
        imports = [ (directories [ "/var/lib/dynamic" ]) ];
        systemd.services.dynamic.serviceConfig = {
          DynamicUser = true;
          StateDirectory = "dynamic";
          ExecStart = "/bin/sh";
        };
      })
    ];
    silent = [
      (add {
        imports = [
          (directories [
            {
              path = "/var/lib/private/dynamic";
              mode = "0700";
            }
          ])
        ];
        systemd.services.dynamic.serviceConfig = {
          DynamicUser = true;
          StateDirectory = "dynamic";
          ExecStart = "/bin/sh";
        };
      })
    ];
  };

  emergency-locked = {
    trips = [
      (add { ebb.root.onFailure = "emergency"; })
      (add (directories [
        {
          path = "/srv/vault";
          required = true;
        }
      ]))
    ];
    silent = [
      (add {
        ebb.root.onFailure = "emergency";
        boot.initrd.systemd.emergencyAccess = "$y$j9T$salt$hash";
      })
    ];
  };

  builds-in-memory = {
    trips = [ (onTmpfs { }) ];
    silent = [
      (onTmpfs { systemd.services.nix-daemon.environment.TMPDIR = "/nix/tmp"; })
      (onTmpfs { nix.enable = false; })
    ];
  };

  kernel = {
    trips = [ (add ({ pkgs, ... }: { boot.kernelPackages = pkgs.linuxPackages_5_15; })) ];
    silent = [ (add ({ pkgs, ... }: { boot.kernelPackages = pkgs.linuxPackages_6_1; })) ];
  };
}
