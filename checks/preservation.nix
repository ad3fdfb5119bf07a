# A configuration as it was written for preservation, with one import changed.
{ ebbModules, script, ... }:
{
  name = "ebb-preservation";

  nodes.machine.specialisation.ebb.configuration = {
    imports = [
      ebbModules.preservation
      (import ./disk.nix "/state")
    ];
    ebb.root.kind = "tmpfs";
    preservation = {
      enable = true;
      preserveAt."/state" = {
        commonMountOptions = [ "x-gvfs-hide" ];
        directories = [
          "/var/log"
          {
            directory = "/var/lib/nixos";
            inInitrd = true;
          }
          {
            directory = "/var/lib/service";
            user = "alice";
            group = "users";
            mode = "0750";
          }
        ];
        files = [
          {
            file = "/etc/machine-id";
            inInitrd = true;
          }
          {
            file = "/etc/ssh/ssh_host_ed25519_key";
            how = "symlink";
            configureParent = true;
          }
          {
            file = "/etc/ssh/ssh_host_rsa_key";
            how = "symlink";
            configureParent = true;
          }
        ];
        users.alice = {
          directories = [
            "foo/bar/baz"
            {
              directory = "linked";
              how = "symlink";
            }
          ];
          files = [
            {
              file = ".config/settings";
              mode = "0600";
            }
            {
              file = ".links/target";
              how = "symlink";
              createLinkTarget = true;
            }
          ];
        };
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
          assert stat("/var/lib/service") == "drwxr-x--- alice:users"
          assert stat("/home/alice/.config/settings") == "-rw------- alice:users"
          for path in ["", "/foo", "/foo/bar", "/foo/bar/baz", "/.config", "/.links"]:
              assert stat(f"/home/alice{path}").endswith(" alice:users"), path
          machine.succeed("test $(readlink /home/alice/linked) = /state/home/alice/linked")

      with subtest("write what is to be kept, and what is not"):
          machine.wait_for_unit("sshd.service")
          host_key = machine.succeed("cat /etc/ssh/ssh_host_ed25519_key")
          machine.succeed("su alice -c 'echo deep > ~/foo/bar/baz/file && echo set > ~/.config/settings'")
          machine.succeed("su alice -c 'echo linked > ~/linked/file && echo target > ~/.links/target'")
          machine.succeed("touch /lost /home/alice/lost")

      for boot_again in [shut_down_and_boot, cut_power_and_boot]:
          with subtest(f"it is there after {boot_again.__name__}"):
              boot_again()
              require_healthy()
              machine.succeed("grep -qx deep /home/alice/foo/bar/baz/file")
              machine.succeed("grep -qx set /home/alice/.config/settings")
              machine.succeed("grep -qx linked /state/home/alice/linked/file")
              machine.succeed("grep -qx target /home/alice/.links/target")
              machine.fail("test -e /lost")
              machine.fail("test -e /home/alice/lost")
              machine.wait_for_unit("sshd.service")
              assert machine.succeed("cat /etc/ssh/ssh_host_ed25519_key") == host_key
              assert machine.succeed("cat /etc/machine-id").strip() == machine_id
              machine.succeed("touch /lost /home/alice/lost")
    '';
  };
}
