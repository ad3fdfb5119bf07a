# A configuration as it was written for impermanence, with one import changed.
{ ebbModules, script, ... }:
{
  name = "ebb-impermanence";

  nodes.machine.specialisation.ebb.configuration = {
    imports = [
      ebbModules.impermanence
      (import ./disk.nix "/persistent")
    ];
    ebb.root.kind = "tmpfs";
    environment.persistence."/persistent" = {
      hideMounts = true;
      directories = [
        "/var/log"
        "/var/lib/nixos"
        {
          directory = "/var/lib/service";
          user = "alice";
          group = "users";
          mode = "u=rwx,g=rx,o=";
        }
      ];
      files = [
        "/etc/machine-id"
        "/etc/ssh/ssh_host_ed25519_key"
        "/etc/ssh/ssh_host_ed25519_key.pub"
        "/etc/ssh/ssh_host_rsa_key"
        "/etc/ssh/ssh_host_rsa_key.pub"
        {
          file = "/var/keys/secret";
          parentDirectory.mode = "u=rwx,g=,o=";
        }
      ];
      users.alice = {
        directories = [
          "Documents"
          {
            directory = ".local/share/keyrings";
            mode = "0700";
          }
        ];
        files = [ ".screenrc" ];
      };
    };
  };

  testScript = script {
    body = ''
      with subtest("lay out the disk"):
          machine.succeed("mkfs.ext4 -L persist /dev/vdb")
      boot_into_ebb()

      with subtest("everything is in place, and belongs to whom it should"):
          require_healthy()
          machine_id = machine.succeed("cat /etc/machine-id").strip()
          assert len(machine_id) == 32, f"machine-id: {machine_id}"
          assert stat("/") == "drwxr-xr-x root:root"
          assert stat("/var/lib/service") == "drwxr-x--- alice:users"
          assert stat("/var/keys") == "drwx------ root:root"
          for path in ["", "/.local", "/.local/share", "/.local/share/keyrings", "/Documents"]:
              assert stat(f"/home/alice{path}").endswith(" alice:users"), path
          machine.succeed("findmnt --noheadings --output OPTIONS /var/lib/service")
          machine.succeed("grep -q x-gvfs-hide /run/mount/utab")

      with subtest("write what is to be kept, and what is not"):
          machine.wait_for_unit("sshd.service")
          host_key = machine.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")
          machine.succeed("echo s3cret > /var/keys/secret")
          machine.succeed("su alice -c 'echo novel > ~/Documents/novel && echo bell > ~/.screenrc'")
          machine.succeed("su alice -c 'echo state > /var/lib/service/state'")
          machine.succeed("touch /lost /home/alice/lost")

      for boot_again in [shut_down_and_boot, cut_power_and_boot]:
          with subtest(f"it is there after {boot_again.__name__}"):
              boot_again()
              require_healthy()
              machine.succeed("grep -qx s3cret /var/keys/secret")
              machine.succeed("grep -qx novel /home/alice/Documents/novel")
              machine.succeed("grep -qx bell /home/alice/.screenrc")
              machine.succeed("grep -qx state /var/lib/service/state")
              machine.fail("test -e /lost")
              machine.fail("test -e /home/alice/lost")
              machine.wait_for_unit("sshd.service")
              assert machine.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub") == host_key
              assert machine.succeed("cat /etc/machine-id").strip() == machine_id
              machine.succeed("touch /lost /home/alice/lost")
    '';
  };
}
