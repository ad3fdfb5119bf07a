package reboot

import (
	"slices"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// What NixOS makes of /etc with an overlay: sysroot-etc.mount, in the initrd, which
// hides what was mounted below /etc before; and read-only before systemd starts in
// the root. What is mounted in it stays as it is. The harness has its files copied
// there meanwhile, so that it is not read-only from the start.
const (
	etcOverlay = `[Unit]
DefaultDependencies=no
RequiresMountsFor=/sysroot
After=etc-layers.service
Before=initrd-fs.target
[Mount]
What=overlay
Where=/sysroot/etc
Type=overlay
Options=lowerdir=/run/etc/lower,upperdir=/run/etc/upper,workdir=/run/etc/work
`
	etcLayers = `[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mkdir -p /run/etc/lower /run/etc/upper /run/etc/work
`
	readOnlyEtc = `[Unit]
DefaultDependencies=no
After=initrd-nixos-activation.service
Before=initrd-switch-root.service
[Service]
Type=oneshot
ExecStart=/bin/mount -o remount,bind,ro /sysroot/etc
`
)

// Where /etc is a read-only overlay, the id of the machine is a mount of an empty
// file, which systemd fills at once: it is the same in all boots, none is a first
// boot, and nothing is left to commit. Another entry below /etc is there as well,
// and not beneath the overlay.
func TestReadOnlyEtc(t *testing.T) {
	const stores = `"/persist": {
		"directories": [{"path": "/var/log"}, {"path": "/etc/kept"}],
		"files": [{"path": "/etc/machine-id", "mode": "0444"}]}`
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, stores))
	m.Config.Initrd = slices.Concat(m.Config.Initrd,
		vmtest.Unit("etc-layers.service", etcLayers, "sysroot-etc.mount.requires"),
		vmtest.Unit("sysroot-etc.mount", etcOverlay, "initrd-fs.target.requires"),
		vmtest.Unit("read-only-etc.service", readOnlyEtc, "initrd-switch-root.service.requires"))
	m.Config.System = append(m.Config.System, vmtest.Unit("first-boot.service", firstBootUnit, "sysinit.target.wants")...)
	m.known = []string{"systemd-tmpfiles"} // would write into /etc
	m.up(m.Boot)
	m.want("failed", "sh", "-c", "touch /etc/x 2>/dev/null || echo failed")
	m.want("overlay", "findmnt", "-fno", "FSTYPE", "/etc")
	m.Shell("echo kept > /etc/kept/file")
	id := m.Run("cat", "/etc/machine-id")
	if len(id) != 32 {
		t.Errorf("the machine has the id %q", id)
	}
	m.wantKeptID(id)
	m.up(m.Reboot)
	m.wantKeptID(id)
	m.want("kept\nkept", "cat", "/etc/kept/file", "/persist/etc/kept/file")
	m.Cut()
}

// wantKeptID looks for the id in the store, and that systemd has nothing to do.
func (m *machine) wantKeptID(id string) {
	m.t.Helper()
	m.want(id, "cat", "/etc/machine-id")
	m.want(id, "cat", "/persist/etc/machine-id")
	m.want("btrfs", "findmnt", "-fno", "FSTYPE", "/etc/machine-id")
	m.want("ConditionResult=no", "systemctl", "show", "-pConditionResult", "systemd-machine-id-commit.service")
	m.wantGone("/run/is-first-boot")
	m.Run("ebb", "status")
}
