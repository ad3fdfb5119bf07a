package reboot

import (
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// firstStores are entries whose sources all have to be made. The users
// systemd-network and messagebus are known by name only, and only after
// activation; gabriel is known by number, too.
const firstStores = `"/persist": {
	"directories": [
		{"path": "/var/log"},
		{"path": "/var/lib/systemd"},
		{"path": "/var/lib/private/app", "mode": "0700"},
		{"path": "/var/lib/network", "user": "systemd-network", "group": "systemd-network", "mode": "0750"},
		{"path": "/var/lib/disks", "uid": 1000, "gid": 100, "mode": "2751", "subvolume": true},
		{"path": "/var/lib/bus/data", "parent": {"user": "messagebus", "mode": "0711"}},
		{"path": "/var/lib/database", "mode": "0710", "nodatacow": true},
		{"path": "/opt/deep/er/dir", "parent": {"uid": 1000, "gid": 100, "mode": "0711"}},
		{"path": "/home/gabriel/.ssh", "user": "gabriel", "uid": 1000, "group": "users", "gid": 100, "mode": "0700"},
		{"path": "/home/gabriel/a/b/mail"}
	],
	"files": [
		{"path": "/etc/machine-id", "how": "sync"},
		{"path": "/etc/adjtime"},
		{"path": "/etc/secret", "mode": "0600", "uid": 1000},
		{"path": "/etc/network.key", "user": "systemd-network", "mode": "0640"},
		{"path": "/home/gabriel/.history"},
		{"path": "/etc/ssh/ssh_host_ed25519_key", "how": "symlink", "mode": "0600"}
	]
}`

// firstWant is what there has to be of firstStores, in the root and in the
// store alike. What lies in a home and names no owner belongs to its user, and
// to no group but root's: a user is known by name there, a group is not.
const firstWant = `etc 755 0:0 directory
etc/adjtime 644 0:0 regular empty file
etc/network.key 640 991:0 regular empty file
etc/secret 600 1000:0 regular empty file
home 755 0:0 directory
home/gabriel 700 1000:0 directory
home/gabriel/.history 600 1000:0 regular empty file
home/gabriel/.ssh 700 1000:100 directory
home/gabriel/a 755 1000:0 directory
home/gabriel/a/b 755 1000:0 directory
home/gabriel/a/b/mail 700 1000:0 directory
opt 755 0:0 directory
opt/deep 711 1000:100 directory
opt/deep/er 711 1000:100 directory
opt/deep/er/dir 755 0:0 directory
var 755 0:0 directory
var/lib 755 0:0 directory
var/lib/bus 711 990:0 directory
var/lib/bus/data 755 0:0 directory
var/lib/database 710 0:0 directory
var/lib/disks 2751 1000:100 directory
var/lib/network 750 991:991 directory
var/lib/private 700 0:0 directory
var/lib/private/app 700 0:0 directory`

// Marks of units that tell what systemd thinks of this boot, and when the id
// of the machine has reached the store.
const (
	firstBootUnit = `[Unit]
DefaultDependencies=no
ConditionFirstBoot=yes
[Service]
Type=oneshot
ExecStart=/usr/bin/touch /run/is-first-boot
`
	machineIDPath = `[Unit]
DefaultDependencies=no
[Path]
PathExists=/persist/etc/machine-id
`
	machineIDMark = "machine-id-kept"
	machineIDUnit = `[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/run/vmtest/guest mark ` + machineIDMark + "\n"
)

// Nothing in the store at all: everything is made, with the right owners and
// modes, and systemd sees a first boot. The second boot is an ordinary one.
func TestFirstBoot(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, firstStores))
	m.Config.System = append(m.Config.System, vmtest.Unit("first-boot.service", firstBootUnit, "sysinit.target.wants")...)
	m.Config.System = append(m.Config.System, vmtest.Unit("machine-id.path", machineIDPath, "sysinit.target.wants")...)
	m.Config.System = append(m.Config.System, vmtest.Unit("machine-id.service", machineIDUnit)...)
	m.up(m.Boot)
	if !m.exists("/run/is-first-boot") {
		t.Error("the first boot is none for systemd")
	}
	m.wantCommitted()
	m.wantMade()
	m.wantOwnersGivenLater()
	m.WaitFor(vmtest.Mark(machineIDMark)) // copied back while the machine runs, not only when it goes down
	id := m.Run("cat", "/etc/machine-id")
	if len(id) != 32 {
		t.Errorf("the machine has the id %q", id)
	}
	m.want(id, "cat", "/persist/etc/machine-id")

	m.up(m.Reboot)
	m.wantGone("/run/is-first-boot")
	m.want(id, "cat", "/etc/machine-id")
	m.want("444 0:0 1", "stat", "-c", "%a %u:%g %h", "/etc/machine-id")
	m.wantMade()
	if boots := strings.Count(m.Run("journalctl", "--list-boots", "--no-pager", "--quiet"), "\n") + 1; boots != 2 {
		t.Errorf("the journal has %d boots", boots)
	}
	m.Cut()
}

// wantCommitted looks at what systemd did with the machine's new id.
func (m *machine) wantCommitted() {
	m.t.Helper()
	m.want("Result=success", "systemctl", "show", "-pResult", "systemd-machine-id-commit.service")
	m.want("ConditionResult=yes", "systemctl", "show", "-pConditionResult", "systemd-machine-id-commit.service")
	m.want("done", "sh", "-c", "findmnt /etc/machine-id || echo done")
}

// wantMade compares both sides of the entries with what they should be.
func (m *machine) wantMade() {
	m.t.Helper()
	var paths []string
	for line := range strings.Lines(firstWant) {
		paths = append(paths, strings.Fields(line)[0])
	}
	list := "stat -c '%n %a %u:%g %F' " + strings.Join(paths, " ")
	for _, dir := range []string{"/", "/persist"} {
		if got := m.Shell("cd " + dir + "; " + list); got != firstWant {
			m.t.Errorf("below %s there is\n%s\nwant\n%s", dir, got, firstWant)
		}
	}
	m.Run("btrfs", "subvolume", "show", "/persist/var/lib/disks")
	// btrfs shares no blocks between a file with copy-on-write and one without (cp gives EINVAL).
	m.Shell("cd /var/lib/database; head -c 8192 /dev/zero > data; if cp --reflink=always data /persist/var/lib/copy; then exit 1; fi; rm -f data /persist/var/lib/copy")
	m.want("/persist/etc/ssh/ssh_host_ed25519_key", "readlink", "/etc/ssh/ssh_host_ed25519_key")
}

// wantOwnersGivenLater looks for the two halves of an entry whose user is not
// known in stage 1: made for root alone, then given away, before any service.
func (m *machine) wantOwnersGivenLater() {
	m.t.Helper()
	made := m.Run("journalctl", "--boot", "--no-pager", "--output=cat", "--unit=ebb-mount.service")
	given := m.Run("journalctl", "--boot", "--no-pager", "--output=cat", "--unit=ebb-sync.service")
	for _, c := range []struct{ made, given string }{
		{"creating directory /persist/var/lib/network for 0:0 0700", "giving /persist/var/lib/network to 991:991 0750"},
		{"creating directory /persist/var/lib/bus for 0:0 0700", "giving /persist/var/lib/bus to 990:0 0711"},
		{"creating file /persist/etc/network.key for 0:0 0600", "giving /persist/etc/network.key to 991:0 0640"},
	} {
		if !strings.Contains(made, c.made) {
			m.t.Errorf("ebb-mount.service did not say %q", c.made)
		}
		if !strings.Contains(given, c.given) {
			m.t.Errorf("ebb-sync.service did not say %q", c.given)
		}
	}
}
