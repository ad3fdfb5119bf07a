# The scenes that the machines with ebb's own options play, as text of the test script: they
# are the same on every kind of root.
{ kind }:
''
  with subtest("the first boot is a first boot, with everything in place"):
      require_fresh(require_healthy(), "${kind}")
      machine_id = machine.succeed("cat /etc/machine-id").strip()
      assert len(machine_id) == 32, f"machine-id: {machine_id}"
      assert stat("/") == "drwxr-xr-x root:root"
      assert stat("/var/lib/counter") == "drwxr-x--- root:root"
      assert stat("/home/alice") == "drwx------ alice:users"
      assert stat("/home/alice/.ssh") == "drwx------ alice:users"
      assert stat("/persist/home/alice/.ssh") == "drwx------ alice:users"

  with subtest("write what is to be kept, and what is not"):
      machine.succeed("echo 1 > /var/lib/counter/boots")
      machine.succeed("su alice -c 'echo secret > ~/.ssh/id && echo ls >> ~/.bash_history'")
      # As careful programs do it, which no mount point would allow.
      machine.succeed("echo one > /etc/replaced.new && mv /etc/replaced.new /etc/replaced")
      machine.succeed("touch /lost /etc/lost /var/lib/lost /home/alice/lost")


  def require_kept_and_lost():
      require_fresh(require_healthy(), "${kind}")
      machine.succeed("grep -qx 1 /var/lib/counter/boots")
      machine.succeed("su alice -c 'grep -qx secret ~/.ssh/id && grep -qx ls ~/.bash_history'")
      for path in ["/lost", "/etc/lost", "/var/lib/lost", "/home/alice/lost"]:
          machine.fail(f"test -e {path}")
      assert machine.succeed("cat /etc/machine-id").strip() == machine_id
      # One journal over all boots: /var/log is kept, and the machine has one identity.
      boots = machine.succeed("journalctl --list-boots --quiet --no-pager").strip().splitlines()
      assert len(boots) > 1, f"boots in the journal: {boots}"


  with subtest("after a reboot the one is there and the other is not"):
      shut_down_and_boot()
      require_kept_and_lost()
      machine.succeed("grep -qx one /etc/replaced")

  with subtest("a file that is replaced is copied back while the machine runs"):
      machine.succeed("touch /lost /etc/lost")
      machine.succeed("echo two > /etc/replaced.new && mv /etc/replaced.new /etc/replaced")
      machine.wait_until_succeeds("grep -qx two /persist/etc/replaced")

  with subtest("a power cut changes nothing about that"):
      cut_power_and_boot()
      require_kept_and_lost()
      machine.succeed("grep -qx two /etc/replaced")

  with subtest("a second run in one boot does nothing"):
      machine.succeed("touch /still-here")
      machine.succeed("systemctl restart ebb-status.service")
      machine.succeed("test -e /still-here")
''
