# What NixOS, and secrets, need from before.
{
  cases,
  layouts,
  ...
}:

let
  inherit (cases)
    add
    agenix
    both
    directories
    keep
    lanzaboote
    on
    sops
    userborn
    ;
in
{
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
}
