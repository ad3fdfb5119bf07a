# What outlives a boot. Everything else is gone with the root: caches (.cache, .npm, .tabby),
# /tmp, /var/tmp, /var/cache, and whatever somebody changed in /etc by hand.
{
  ebb.enable = true;

  # Whatever else the services that are enabled need, now or later; ebb.presets.report tells.
  ebb.presets.auto = true;

  ebb.persist."/persist" = {
    hidden = true;
    directories = [
      # Without these the machine is not itself.
      "/var/lib/nixos"
      "/var/lib/systemd"
      # Passwords of networks, paired devices, containers.
      {
        path = "/etc/NetworkManager/system-connections";
        mode = "0700";
      }
      {
        path = "/var/lib/NetworkManager";
        mode = "0700";
      }
      {
        path = "/var/lib/bluetooth";
        mode = "0700";
      }
      {
        path = "/var/lib/docker";
        mode = "0710";
        # A subvolume of its own: no snapshot of /persist has images in it.
        subvolume = true;
      }
      # Who logged in, and what happened: see logs.nix for how much of it.
      "/var/lib/lastlog"
      "/var/log"
    ];
    files = [
      "/etc/adjtime"
      "/etc/machine-id"
      "/etc/ssh/ssh_host_ed25519_key"
      "/etc/ssh/ssh_host_ed25519_key.pub"
      {
        path = "/var/lib/logrotate.status";
        how = "sync"; # logrotate replaces it
      }
    ];
    users.gabriel = {
      directories = [
        ".ssh"
        ".aws"
        ".claude"
        ".config"
        ".local/bin"
        ".local/share/nvim"
        ".local/state"
        ".mozilla"
        "Documents"
        "src"
      ];
      files = [ ".bash_history" ];
    };
  };

  # Not worth a word when it is lost.
  ebb.extraIgnore = [
    "/home/*/.cache"
    "/home/*/.npm"
    "/home/*/.tabby"
  ];
}
