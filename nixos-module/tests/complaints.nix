# Every error and every warning of the module, by its name: configurations with the mistake
# that it is for, and configurations beside them that are right.
{
  evaluate,
  layouts,
  lib,
  nixpkgs,
  test,
  ...
}:

let
  device = "/dev/disk/by-label/nixos";
  subvolume = layouts.subvolume device;

  ordinary = {
    imports = [ ../. ];
    users.users.gabriel = {
      isNormalUser = true;
      uid = 1000;
      hashedPasswordFile = "/persist/passwords/gabriel";
    };
    users.users.root.hashedPasswordFile = lib.mkDefault "/persist/passwords/root";
    ebb.enable = true;
    ebb.persist."/persist".directories = [ "/var/log" ];
  };

  # A machine with nothing wrong, and one thing more.
  add = module: [
    layouts.btrfs
    ordinary
    module
  ];
  # The same on another disk.
  on = layout: [
    layout
    ordinary
  ];
  onTmpfs = module: on layouts.tmpfs ++ [ module ];

  root = fileSystem: {
    fileSystems = layouts.btrfs.fileSystems // {
      "/" = fileSystem;
    };
  };
  without = mountPoint: {
    fileSystems = removeAttrs layouts.btrfs.fileSystems [ mountPoint ];
  };
  keep = entries: { ebb.persist."/persist" = entries; };
  directories = list: keep { directories = list; };
  cache = subvolume: { fileSystems."/cache" = subvolume "@cache"; };
  both = a: b: { imports = [ a b ]; };

  luks = device: on (layouts.btrfsOn device) ++ [
    { boot.initrd.luks.devices.cryptroot.device = "/dev/disk/by-partlabel/luks"; }
  ];
  # as older releases have it by default
  withoutLvm.boot.initrd.services.lvm.enable = false;
  lvm = on (layouts.btrfsOn "/dev/mapper/machine-root");

  immutable =
    { lib, pkgs, ... }:
    {
      boot.kernelPackages = pkgs.linuxPackages_latest;
      system.etc.overlay.enable = true;
      system.etc.overlay.mutable = false;
      systemd.sysusers.enable = true;
      users.mutableUsers = false;
      users.users.gabriel = {
        isNormalUser = lib.mkForce false;
        isSystemUser = true;
        group = "users";
      };
    };
  mutable =
    { pkgs, ... }:
    {
      boot.kernelPackages = pkgs.linuxPackages_latest;
      system.etc.overlay.enable = true;
    };

  # Modules of other projects, as far as they matter here.
  sops =
    { lib, ... }:
    {
      options.sops.age.sshKeyPaths = lib.mkOption { default = [ ]; };
      options.sops.age.keyFile = lib.mkOption { default = null; };
      options.sops.gnupg.sshKeyPaths = lib.mkOption { default = [ ]; };
    };
  agenix =
    { lib, ... }:
    {
      options.age.identityPaths = lib.mkOption { default = [ ]; };
    };
  lanzaboote =
    { lib, ... }:
    {
      options.boot.lanzaboote.enable = lib.mkEnableOption "lanzaboote";
      options.boot.lanzaboote.pkiBundle = lib.mkOption { type = lib.types.path; };
    };

  # NixOS has it from 24.11 on, and "static" later.
  userborn =
    { lib, ... }:
    let
      file = nixpkgs + "/nixos/modules/services/system/userborn.nix";
      known = if builtins.pathExists file then builtins.readFile file else "";
      missing = lib.filterAttrs (name: _: !(lib.hasInfix "${name} =" known)) {
        enable = lib.mkEnableOption "userborn";
        passwordFilesLocation = lib.mkOption { default = "/etc"; };
        static = lib.mkOption { default = false; };
      };
    in
    {
      options = lib.optionalAttrs (missing != { }) { services.userborn = missing; };
    };

  # Newer releases have it.
  generatedKeys =
    { lib, ... }:
    {
      options = lib.optionalAttrs (
        !(lib.hasInfix "generateHostKeys" (
          builtins.readFile (nixpkgs + "/nixos/modules/services/networking/ssh/sshd.nix")
        ))
      ) { services.openssh.generateHostKeys = lib.mkEnableOption "host keys"; };
    };

  hostKeys = map (name: "/etc/ssh/ssh_host_${name}_key") [
    "ed25519"
    "rsa"
  ];

  home = { fileSystems."/home" = subvolume "@home"; };

  rows = {
    stage-1.trips = [ (add { boot.initrd.systemd.enable = false; }) ];

    root-kind = {
      trips = [
        (on (root {
          device = "/dev/disk/by-label/root";
          fsType = "ext4";
        }))
        (add { ebb.root.kind = "tmpfs"; })
        (onTmpfs { ebb.root.kind = "btrfs"; })
      ];
      silent = [
        (on layouts.ext4 ++ [ { ebb.root.kind = "none"; } ])
      ];
    };

    root-device = {
      trips = [
        (on (layouts.btrfsOn "/dev/root"))
        (on (root {
          device = "nixos";
          fsType = "btrfs";
          options = [ "subvol=@" ];
        }))
      ];
      silent = [ (on (layouts.btrfsOn "/dev/nvme0n1p2")) ];
    };

    root-subvolid.trips = [
      (on (root {
        inherit device;
        fsType = "btrfs";
        options = [ "subvolid=256" ];
      }))
    ];

    root-subvolume = {
      trips = [
        (on (root {
          inherit device;
          fsType = "btrfs";
          options = [ "noatime" ];
        }))
        (add { ebb.root.subvolume = "@other"; })
      ];
      silent = [
        (on (root {
          inherit device;
          fsType = "btrfs";
          options = [ "subvol=/nixos/@" ];
        }))
      ];
    };

    root-also = {
      trips = [ (onTmpfs { ebb.root.also.home.subvolume = "@home"; }) ];
      silent = [
        (add {
          imports = [ home ];
          ebb.root.also.home.subvolume = "@home";
        })
      ];
    };

    nix-on-root = {
      trips = [ (on (without "/nix")) ];
      silent = [
        (on {
          fileSystems = removeAttrs layouts.btrfs.fileSystems [ "/nix" ] // {
            "/nix/store" = subvolume "@store" // {
              neededForBoot = true;
            };
          };
        })
      ];
    };

    store-on-root = {
      trips = [
        (on (without "/persist"))
        (add { ebb.persist."/cache".directories = [ "/var/cache" ]; })
        (on (both (without "/persist") {
          fileSystems."/persist" = {
            device = "none";
            fsType = "tmpfs";
          };
        }))
      ];
      silent = [
        (add {
          imports = [ (cache subvolume) ];
          ebb.persist."/cache".directories = [ "/var/cache" ];
        })
      ];
    };

    store-path.trips = [
      (add { ebb.persist."persist".directories = [ "/var/cache" ]; })
      (add { ebb.persist."/".directories = [ "/var/cache" ]; })
      (add { ebb.persist."/persist/../other".directories = [ "/var/cache" ]; })
    ];

    lvm = {
      trips = [
        (lvm ++ [ withoutLvm ])
        (on (layouts.btrfsOn "/dev/machine/root") ++ [ withoutLvm ])
      ];
      silent = [
        (lvm ++ [ { boot.initrd.services.lvm.enable = true; } ])
        (luks "/dev/mapper/cryptroot")
      ];
    };

    swap-file = {
      trips = [
        (add {
          swapDevices = [ { device = "/var/swapfile"; } ];
          boot.resumeDevice = device;
        })
      ];
      silent = [
        (add {
          fileSystems."/swap" = subvolume "@swap";
          swapDevices = [ { device = "/swap/swapfile"; } ];
          boot.resumeDevice = device;
        })
      ];
    };

    boot-on-root = {
      trips = [
        (
          on (without "/boot")
          ++ [
            {
              boot.loader.systemd-boot.enable = false;
              boot.loader.grub.enable = true;
              boot.loader.grub.device = "/dev/vda";
            }
          ]
        )
      ];
      silent = [
        (add {
          boot.loader.systemd-boot.enable = false;
          boot.loader.grub.enable = true;
          boot.loader.grub.device = "/dev/vda";
        })
      ];
    };

    entry-path = {
      trips = map (path: add (directories [ path ])) [
        "relative/path"
        "/var/lib/../log2"
        "~/.ssh"
        "$HOME/.ssh"
      ]
      ++ [ (add (keep { users.gabriel.directories = [ "/home/gabriel/.ssh" ]; })) ];
      silent = [ (add (directories [ "/srv//web/" ])) ];
    };

    entry-place = {
      trips = map (path: add (directories [ path ])) [
        "/"
        "/nix"
        "/nix/var"
        "/boot"
        "/boot/loader"
        "/proc/fs"
        "/sys"
        "/dev/shm"
        "/run/secrets"
      ];
      silent = [ (add (directories [ "/srv" "/var/lib/nix" "/bootstrap" ])) ];
    };

    entry-store = {
      trips = [
        (add (directories [ "/persist" ]))
        (add (directories [ "/persist/var/log2" ]))
      ];
      silent = [ (add (directories [ "/persistent" ])) ];
    };

    entry-twice = {
      trips = [
        (add (directories [
          "/var/lib/twice"
          {
            path = "/var/lib/twice";
            mode = "0700";
          }
        ]))
        (add {
          imports = [
            (cache subvolume)
            (directories [ "/var/lib/twice" ])
          ];
          ebb.persist."/cache".directories = [ "/var/lib/twice" ];
        })
        (add (keep {
          directories = [ "/home/gabriel/.ssh" ];
          users.gabriel.directories = [ ".ssh" ];
        }))
        (add (keep {
          directories = [ "/srv/both" ];
          files = [ "/srv/both" ];
        }))
      ];
      silent = [
        # What is kept without being told makes way.
        (add (both (directories [ "/var/lib/nixos" ]) (keep { files = [ "/etc/machine-id" ]; })))
      ];
    };

    entry-nested = {
      trips = [
        (add (directories [
          "/var/lib/outer"
          "/var/lib/outer/in/side"
        ]))
        (add (keep {
          directories = [ "/home/gabriel/.config" ];
          users.gabriel.directories = [ ".config/nvim" ];
        }))
        (add {
          imports = [
            (cache subvolume)
            (directories [
              {
                path = "/var/lib/outer";
                how = "symlink";
              }
            ])
          ];
          ebb.persist."/cache".directories = [ "/var/lib/outer/inner" ];
        })
      ];
      silent = [
        # A cache inside of what is backed up is what several stores are for.
        (add {
          imports = [
            (cache subvolume)
            (directories [ "/var/lib/outer" ])
          ];
          ebb.persist."/cache".directories = [ "/var/lib/outer/cache" ];
        })
        (add (directories [
          "/var/lib/one"
          "/var/lib/one-more"
        ]))
      ];
    };

    entry-file-system = {
      trips = [
        (add {
          imports = [ (directories [ "/data" ]) ];
          fileSystems."/data" = subvolume "@data";
        })
      ];
      silent = [ (add { fileSystems."/data" = subvolume "@data"; }) ];
    };

    entry-options = {
      trips = [
        (add (keep {
          files = [
            {
              path = "/etc/linked";
              how = "symlink";
              options = [ "ro" ];
            }
          ];
        }))
      ];
      silent = [
        (add (directories [
          {
            path = "/srv/bound";
            options = [ "ro" ];
          }
        ]))
      ];
    };

    unknown-user = {
      trips = [ (add (keep { users.nobodyknows.directories = [ ".ssh" ]; })) ];
      silent = [ (add (keep { users.gabriel.directories = [ ".ssh" ]; })) ];
    };

    machine-id = {
      trips =
        map
          (
            how:
            add (keep {
              files = [
                {
                  path = "/etc/machine-id";
                  inherit how;
                }
              ];
            })
          )
          [
            "bind"
            "symlink"
          ];
      silent = [ (add (keep { files = [ "/etc/machine-id" ]; })) ];
    };

    immutable-etc = {
      trips = [ (add (both immutable (directories [ "/etc/wireguard" ]))) ];
      silent = [
        (add immutable)
        (add (both mutable (directories [ "/etc/wireguard" ])))
      ];
    };

    etc-hidden = {
      trips = [
        (add (directories [ "/etc/ssh" ])) # a warning
        (add (both mutable (directories [ "/etc/ssh" ]))) # an error
      ];
      silent = [ (add (directories [ "/etc/NetworkManager/system-connections" ])) ];
    };

    nixos-state = {
      trips = [ (add { ebb.keepNixosState = false; }) ];
      silent = [
        (add (both { ebb.keepNixosState = false; } (directories [ "/var/lib/nixos" ])))
        (add (both { ebb.keepNixosState = false; } (directories [ "/var/lib" ])))
        (on layouts.ext4 ++ [
          {
            ebb.root.kind = "none";
            ebb.keepNixosState = false;
          }
        ])
      ];
    };

    password-file = {
      trips = [ (add { users.users.root.hashedPasswordFile = "/etc/passwords/root"; }) ];
      silent = [
        (add (
          both { users.users.root.hashedPasswordFile = "/etc/passwords/root"; } (
            directories [ "/etc/passwords" ]
          )
        ))
        (add { users.users.root.hashedPasswordFile = "/run/secrets/root"; })
      ];
    };

    secret-keys = {
      trips = [
        (add (both sops { sops.age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ]; }))
        (add (both sops { sops.age.keyFile = "/var/lib/sops/key.txt"; }))
        (add (both agenix { age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ]; }))
      ];
      silent = [
        (add (both sops { sops.age.sshKeyPaths = [ "/persist/etc/ssh/ssh_host_ed25519_key" ]; }))
        (add {
          imports = [
            agenix
            (keep { files = [ "/etc/ssh/ssh_host_ed25519_key" ]; })
          ];
          age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
        })
      ];
    };

    initrd-ssh-keys = {
      trips = [
        (add {
          boot.initrd.network.ssh.enable = true;
          boot.initrd.network.ssh.authorizedKeys = [ "ssh-ed25519 AAAA" ];
          boot.initrd.network.ssh.hostKeys = [ "/etc/secrets/initrd/ssh_host_ed25519_key" ];
        })
      ];
      silent = [
        (add {
          boot.initrd.network.ssh.enable = true;
          boot.initrd.network.ssh.authorizedKeys = [ "ssh-ed25519 AAAA" ];
          boot.initrd.network.ssh.hostKeys = [ "/persist/initrd/ssh_host_ed25519_key" ];
        })
      ];
    };

    secure-boot-keys = {
      trips = [
        (add (
          both lanzaboote {
            boot.lanzaboote.enable = true;
            boot.lanzaboote.pkiBundle = "/var/lib/sbctl";
          }
        ))
      ];
      silent = [
        (add {
          imports = [
            lanzaboote
            (directories [ "/var/lib/sbctl" ])
          ];
          boot.lanzaboote.enable = true;
          boot.lanzaboote.pkiBundle = "/var/lib/sbctl";
        })
        (add lanzaboote)
      ];
    };

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

    userborn-state = {
      trips = [ (add (both userborn { services.userborn.enable = true; })) ];
      silent = [
        (add (
          both userborn {
            services.userborn.enable = true;
            services.userborn.passwordFilesLocation = "/var/lib/nixos";
          }
        ))
        (add (
          both userborn {
            services.userborn.enable = true;
            services.userborn.static = true;
            system.switch.enable = false;
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
  };

  # What is said of a configuration, whether it ends the build or not.
  messages =
    modules:
    let
      inherit (evaluate modules) config;
    in
    map (a: a.message) (lib.filter (a: !a.assertion) config.assertions) ++ config.warnings;

  isOf = name: lib.hasPrefix "ebb: ${name}: ";

  trips =
    name: index: modules:
    let
      all = messages modules;
      its = lib.filter (isOf name) all;
    in
    {
      name = "${name} ${toString index} is complained about";
      ok = lib.length its == 1 && lib.all (lib.hasPrefix "ebb: ") all;
      detail = test.show all;
    };

  silent = name: index: modules: test.is "beside ${name} ${toString index} there is silence" [ ] (messages modules);

  # What checks.nix has, by its text: that no row is missing here.
  declared = lib.unique (
    map lib.last (
      lib.filter lib.isList (
        builtins.split "(name = |about )\"([a-z0-9-]+)\"" (builtins.readFile ../checks.nix)
      )
    )
  );
in
[
  (test.is "a machine with nothing wrong" [ ] (messages (add { })))
  (test.is "every check is tested" [ ] (lib.subtractLists (lib.attrNames rows) declared))
  (test.is "every check that is tested is there" [ ] (lib.subtractLists declared (lib.attrNames rows)))
]
++ lib.concatLists (
  lib.mapAttrsToList (
    name: row: lib.imap1 (trips name) row.trips ++ lib.imap1 (silent name) (row.silent or [ ])
  ) rows
)
