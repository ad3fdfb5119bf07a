# What is declared.
{
  cases,
  ...
}:

let
  inherit (cases)
    add
    both
    cache
    directories
    immutable
    keep
    mutable
    subvolume
    ;
in
{
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
}
