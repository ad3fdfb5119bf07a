package reboot

import (
	"fmt"
	"strings"
	"testing"
)

const basicStores = `"/persist": {
	"directories": [
		{"path": "/var/log"},
		{"path": "/var/lib/systemd"},
		{"path": "/srv/data", "uid": 1000, "gid": 100, "mode": "0750"},
		{"path": "/home/gabriel/.ssh", "user": "gabriel", "uid": 1000, "gid": 100, "mode": "0700", "hidden": true}
	],
	"files": [
		{"path": "/etc/machine-id", "how": "sync"},
		{"path": "/etc/adjtime"},
		{"path": "/etc/ssh/ssh_host_ed25519_key", "how": "symlink", "mode": "0600"}
	]
}`

// Three boots: what is on the root is gone each time, what is persistent stays
// as it was, and the old roots are in the archive, whole.
func TestThreeBoots(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	m.up(m.Boot)
	machineID := m.Run("cat", "/etc/machine-id")
	m.Shell(`
		echo data > /srv/data/file; chown 1000:100 /srv/data/file; chmod 0640 /srv/data/file
		touch -d 2020-01-02T03:04:05Z /srv/data/file
		setfattr -n user.note -v kept /srv/data/file
		setfacl -m u:1234:r /srv/data/file
		echo key > /home/gabriel/.ssh/id; echo host > /etc/ssh/ssh_host_ed25519_key; echo 0.0 0 0.0 > /etc/adjtime
		mkdir -p /srv/data/deep/er; ln -s file /srv/data/link
	`)
	before := m.describe()
	for boot := 1; boot <= 2; boot++ {
		m.Shell(fmt.Sprintf("echo boot %d > /marker; mkdir -p /opt/x; echo gone > /opt/x/gone; btrfs subvolume create /nested; echo in > /nested/file", boot))
		m.up(m.Reboot)
		m.wantGone("/marker", "/opt/x", "/nested")
		if after := m.describe(); after != before {
			t.Errorf("boot %d: persistent files were\n%s\nand are\n%s", boot, before, after)
		}
		m.want(machineID, "cat", "/etc/machine-id")
		m.wantLiveRoot()
		m.wantArchived(boot+1, fmt.Sprintf("boot %d", boot)) // number 1 is the root that the disk came with
	}
	if boots := strings.Count(m.Run("journalctl", "--list-boots", "--no-pager", "--quiet"), "\n") + 1; boots < 3 {
		t.Errorf("the journal has %d boots", boots)
	}
	m.wantOneFirstMount()
	m.Cut()
}

// describe is all there is to know about the persistent files.
func (m *machine) describe() string {
	m.t.Helper()
	return m.Shell(`
		cd /
		find srv/data home/gabriel/.ssh etc/adjtime -printf '%p %y %m %U:%G %s %T@ %l\n' | sort
		cat srv/data/file home/gabriel/.ssh/id etc/adjtime etc/ssh/ssh_host_ed25519_key
		getfattr -d srv/data/file; getfacl -n srv/data/file
		stat -c '%n %a %u:%g' home/gabriel persist/home/gabriel persist/etc/ssh`)
}

// wantLiveRoot compares the root that is mounted with the boot record.
func (m *machine) wantLiveRoot() {
	m.t.Helper()
	made, ok := m.record().Rollback.Subvolume("root")
	if !ok {
		m.t.Fatal("the record names no root")
	}
	m.want(fmt.Sprint(made.ID), "btrfs", "inspect-internal", "rootid", "/")
	if options := m.Run("findmnt", "-no", "OPTIONS", "/"); !strings.Contains(options, fmt.Sprintf("subvolid=%d,", made.ID)) {
		m.t.Errorf("the record says subvolume %d, / is mounted with %s", made.ID, options)
	}
}

// wantArchived looks at an archived root through a mount of the top level.
func (m *machine) wantArchived(number int, marker string) {
	m.t.Helper()
	got := m.Shell(fmt.Sprintf(`
		mkdir -p /run/top; mount -o subvolid=5,ro /dev/disk/by-label/nixos /run/top
		cd /run/top/@roots/%06d; cat root/marker root/opt/x/gone root/nested/file
		btrfs property get -ts root ro; stat -c %%a . ..
		cd /; umount /run/top`, number))
	if want := marker + "\ngone\nin\nro=true\n700\n700"; got != want {
		m.t.Errorf("archived root %d: got\n%s\nwant\n%s", number, got, want)
	}
}

// wantOneFirstMount counts how often the kernel has opened the file system in
// the initrd.
func (m *machine) wantOneFirstMount() {
	m.t.Helper()
	got := m.Run("sh", "-c", "journalctl --boot --no-pager --output=cat --dmesg | grep -c 'first mount of filesystem'")
	if got != "1" {
		m.t.Errorf("the file system was opened %s times in this boot", got)
	}
}
