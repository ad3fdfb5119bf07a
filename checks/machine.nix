# What the machines have in common. A machine first boots from the disk that the test driver
# makes for it, and lays out another one; then its specialisation "ebb", which is the system
# in question, boots from that, again and again.
{

  # The test script, with the words that all of them use. What is in onStart is done each
  # time that the specialisation is booted.
  _module.args.script =
    {
      onStart ? "pass",
      body,
    }:
    ''
      import json


      def start():
          machine.start()
          ${onStart}


      def boot_into_ebb():
          """Leaves the system that has laid out the disk, for good."""
          machine.succeed("bootctl set-default nixos-generation-1-specialisation-ebb.conf")
          cut_power_and_boot()


      def shut_down_and_boot():
          machine.shutdown()
          start()


      def cut_power_and_boot():
          machine.succeed("sync")
          machine.crash()
          start()


      def require_healthy():
          """Nothing is missing, and ebb says so, in all the places where it would complain."""
          machine.wait_for_unit("multi-user.target")
          status = json.loads(machine.succeed("ebb status --json"))
          assert status["ok"], f"ebb status: {status['problems']}"
          machine.require_unit_state("ebb-status.service", "active")
          failed = machine.succeed("systemctl list-units --failed --plain --no-legend")
          assert failed.strip() == "", f"failed units: {failed}"
          machine.fail("test -e /sysroot/etc")
          return status


      def require_fresh(status, kind):
          root = status["root"]
          assert root["fresh"] and root["kind"] == kind, f"the root is not fresh: {root}"


      def stat(path):
          return machine.succeed(f"stat -c '%A %U:%G' {path}").strip()


      machine.start()
      machine.wait_for_unit("multi-user.target")
    ''
    + body;

  nodes.machine =
    { pkgs, ... }:
    {
      virtualisation = {
        emptyDiskImages = [ 2048 ]; # /dev/vdb
        useBootLoader = true;
        useEFIBoot = true;
        # The closure comes from the host, read-only and as a file system of its own, so that
        # nothing of it has to be copied to the disk.
        mountHostNixStore = true;
        writableStore = false;
      };
      boot.loader.systemd-boot.enable = true;
      boot.initrd.systemd.enable = true;
      boot.supportedFilesystems = [ "btrfs" ];
      environment.systemPackages = [
        pkgs.btrfs-progs
        pkgs.cryptsetup
      ];
      users.users.alice = {
        isNormalUser = true;
        hashedPassword = "!"; # nobody types one
      };
      nix.enable = false; # nothing is built
    };

}
