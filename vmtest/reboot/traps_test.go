package reboot

import "testing"

// A stock systemd makes /srv a subvolume on an empty btrfs root
// (tmpfiles.d/home.conf). It is archived along with the root that it lies in,
// and the rollback is none the worse for it.
func TestSubvolumeMadeBySystemd(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, `"/persist": {"directories": [{"path": "/var/log"}]}`))
	for boot := 1; boot <= 2; boot++ {
		m.up(m.Boot)
		m.want("256", "stat", "-c", "%i", "/srv") // the number of any subvolume's top directory
		m.Run("btrfs", "subvolume", "show", "/srv")
		m.wantGone("/srv/file")
		m.wantNewMachineID(boot)
		m.Shell("echo inside > /srv/file")
		m.Off()
	}
	m.up(m.Boot)
	m.want("inside\n256\nro=true", "sh", "-euc", `
		mkdir -p /run/top; mount -o subvolid=5,ro /dev/disk/by-label/nixos /run/top
		cd /run/top/@roots/000003; cat root/srv/file; stat -c %i root/srv; btrfs property get -ts root ro
		cd /; umount /run/top`)
	m.Off()
}

// wantNewMachineID looks at a root without an entry for the id: each boot is a
// first one for systemd, which makes a new id and commits it.
func (m *machine) wantNewMachineID(boot int) {
	m.t.Helper()
	m.wantCommitted()
	if boots := m.Shell("ls /var/log/journal | wc -l"); boots != map[int]string{1: "1", 2: "2"}[boot] {
		m.t.Errorf("after %d boots the journal has the ids of %s machines", boot, boots)
	}
}
