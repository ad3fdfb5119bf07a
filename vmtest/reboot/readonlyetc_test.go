package reboot

import (
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// readOnlyEtc makes /etc read-only before systemd starts in the root, as NixOS
// has it with an immutable overlay; what is mounted in it stays as it is.
const readOnlyEtc = `[Unit]
DefaultDependencies=no
After=initrd-nixos-activation.service
Before=initrd-switch-root.service
[Service]
Type=oneshot
ExecStart=/bin/mount --rbind /sysroot/etc /sysroot/etc
ExecStart=/bin/mount -o remount,bind,ro /sysroot/etc
`

// Where /etc is read-only, the id of the machine is a mount of an empty file,
// which systemd fills at once: it is the same in all boots, none is a first
// boot, and nothing is left to commit.
func TestReadOnlyEtc(t *testing.T) {
	const stores = `"/persist": {"directories": [{"path": "/var/log"}], "files": [{"path": "/etc/machine-id", "mode": "0444"}]}`
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, stores))
	m.Config.Initrd = append(m.Config.Initrd, vmtest.Unit("read-only-etc.service", readOnlyEtc, "initrd-switch-root.service.requires")...)
	m.Config.System = append(m.Config.System, vmtest.Unit("first-boot.service", firstBootUnit, "sysinit.target.wants")...)
	m.Boot()
	m.want("failed", "sh", "-c", "touch /etc/x 2>/dev/null || echo failed")
	id := m.Run("cat", "/etc/machine-id")
	if len(id) != 32 {
		t.Errorf("the machine has the id %q", id)
	}
	m.wantKeptID(id)
	m.Reboot()
	m.wantKeptID(id)
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
