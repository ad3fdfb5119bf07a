package reboot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/units"
	"github.com/ebb-nix/ebb/vmtest/install"
)

// A root that is not ebb's to make fresh stays as it is, and has its entries;
// those that are new take over what the root has there.
func TestNoRollback(t *testing.T) {
	none := `{"kind": "none"}`
	m := newMachine(t, standardLayout(), standardFstab(), document(none, basicStores))
	m.up(m.Boot)
	m.wantEntriesOnly()
	id := m.Run("btrfs", "inspect-internal", "rootid", "/")
	m.Shell("echo stays > /marker; echo data > /srv/data/file; mkdir -p /var/lib/app; echo app > /var/lib/app/file")

	m.configure(document(none, laterStores))
	m.up(m.Reboot)
	m.wantEntriesOnly()
	m.want(id, "btrfs", "inspect-internal", "rootid", "/")
	m.want("stays", "cat", "/marker")
	m.want("data\ndata", "cat", "/srv/data/file", "/persist/srv/data/file")
	m.wantAdopted("/var/lib/app")
	m.want("app", "cat", "/persist/var/lib/app/file")
	m.want("app", "cat", "/var/lib/app/file")
	m.wantVerified()
	m.Cut()
}

// wantEntriesOnly checks that there was no rollback, and all else.
func (m *machine) wantEntriesOnly() {
	m.t.Helper()
	if r := m.record(); r.Rollback == nil || r.Rollback.Fresh || r.Rollback.Kind != "none" || r.Mount == nil {
		m.t.Errorf("the record says of the rollback %+v", r.Rollback)
	}
	m.Run("ebb", "status")
	for _, path := range []string{"/srv/data", "/home/gabriel/.ssh", "/etc/adjtime", "/var/log"} {
		m.Run("findmnt", path)
	}
	m.want("", "sh", "-c", "mkdir -p /run/top; mount -o subvolid=5,ro /dev/disk/by-label/nixos /run/top; ls -d /run/top/@roots 2>/dev/null; umount /run/top")
}

// wantVerified lets systemd judge all units, with drop-ins for either policy.
func (m *machine) wantVerified() {
	m.t.Helper()
	entries, err := units.Files.ReadDir(".")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, policy := range []config.OnFailure{config.Continue, config.Emergency} {
		c, err := config.Parse([]byte(document(fmt.Sprintf(`{"kind": "btrfs", "device": "/dev/vda2", "on_failure": %q}`, policy), basicStores)))
		if err != nil {
			m.t.Fatal(err)
		}
		var script strings.Builder
		fmt.Fprintf(&script, "rm -rf /run/verify; mkdir /run/verify; cd /run/verify\n")
		for _, entry := range entries {
			text, err := units.Files.ReadFile(entry.Name())
			if err != nil {
				m.t.Fatal(err)
			}
			fmt.Fprintf(&script, "cat > %s <<'END'\n%sEND\n", entry.Name(), text)
		}
		for unit, text := range install.DropIns(c, nil) {
			fmt.Fprintf(&script, "mkdir %s.d; cat > %s.d/ebb.conf <<'END'\n%sEND\n", unit, unit, text)
		}
		// Warnings count, too, and pages of the manual that are named and not there.
		m.want("", "sh", "-euc", script.String()+"systemd-analyze verify ./*.service ./*.timer 2>&1")
	}
	m.Shell(`cd /run/verify
		printf '[Service]\nExecStart=/no/such/program\n' > bad.service
		printf '[Unit]\nDocumentation=man:no-such-page(8)\n[Service]\nExecStart=/bin/true\n' > undocumented.service
		printf '[Timer]\nOnBootSec=never\nUnit=ebb-prune.service\n' > bad.timer
		for bad in bad.service undocumented.service bad.timer; do
			test -n "$(systemd-analyze verify ./$bad 2>&1)" || { echo "$bad is fine with it: it judges nothing"; exit 1; }
		done`)
}
