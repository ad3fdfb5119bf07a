package reboot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Old roots go as the retention says, in the running system: nested subvolumes
// and all, but not a pinned one, and the live root and the stores are never
// touched. What was archived can be looked at and brought back before.
func TestPrune(t *testing.T) {
	const root = `{"kind": "btrfs", "device": "/dev/disk/by-label/nixos", "keep": {"count": 1, "days": 0, "min_free_percent": 1}}`
	m := newMachine(t, standardLayout(), standardFstab(), document(root, basicStores))
	m.up(m.Boot)
	for boot := 1; boot <= 3; boot++ {
		m.Shell(fmt.Sprintf("mkdir /opt; echo %d > /opt/boot; mkdir -p /var/lib/machines; btrfs subvolume create /var/lib/machines/inner; echo data > /srv/data/file", boot))
		m.up(m.Reboot)
	}
	m.wantArchive("[4 3 2 1]")
	m.Run("ebb", "roots", "pin", "2", "the first that was ebb's")
	m.Run("ebb", "restore", "/opt/boot", "--to", "/root")
	m.want("3", "cat", "/root/boot")
	m.Shell("mkdir /run/old; ebb roots mount 3 /run/old; test $(cat /run/old/opt/boot) = 2; ebb roots umount /run/old")
	// One that is mounted stays, wherever that is: the sandbox of the service
	// hides no mount from it.
	m.Shell("mkdir /home/old; ebb roots mount 3 /home/old; systemctl start ebb-prune.service || true; test $(cat /home/old/opt/boot) = 2")
	m.wantArchive("[4 3 2]")
	m.Shell("ebb roots umount /home/old")
	m.Run("systemctl", "start", "ebb-prune.service")
	m.wantArchive("[4 2]")
	subvolumes := m.Run("btrfs", "subvolume", "list", "/")
	if strings.Contains(subvolumes, ".trash") || strings.Contains(subvolumes, "000003") || !strings.Contains(subvolumes, "@roots/000002/root/var/lib/machines/inner") {
		t.Errorf("left are:\n%s", subvolumes)
	}
	m.Run("systemctl", "start", "ebb-prune.service") // finds nothing to do
	m.known = []string{"ebb-prune.service: Failed"}  // when one was mounted
	m.want("active", "systemctl", "is-active", "ebb-prune.timer")
	m.up(m.Reboot)
	m.known = nil
	m.want("data", "cat", "/srv/data/file")
	m.wantArchive("[5 4 2]")
	m.Cut()
}

// wantArchive checks the numbers of the archived roots, the newest first.
func (m *machine) wantArchive(want string) {
	m.t.Helper()
	var list struct {
		Roots []struct{ Number int }
	}
	if err := json.Unmarshal([]byte(m.Run("ebb", "roots", "--json")), &list); err != nil {
		m.t.Fatal(err)
	}
	var numbers []int
	for _, r := range list.Roots {
		numbers = append(numbers, r.Number)
	}
	if got := fmt.Sprint(numbers); got != want {
		m.t.Errorf("the archive has the roots %s, want %s", got, want)
	}
}
