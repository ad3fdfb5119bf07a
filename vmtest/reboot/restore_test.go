package reboot

import (
	"strings"
	"testing"
)

// TestRestore brings back what rollbacks have taken away: of each kind, from
// each root, to each place, and as it was. What is there stays there.
func TestRestore(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	m.up(m.Boot)
	m.Shell(fillRoot)
	before := m.Shell(describeAdopted)
	m.Shell(`mkdir -p /opt/tool /var/lib/vms; echo tool > /opt/tool/file
		btrfs -q subvolume create /var/lib/vms/one; btrfs -q subvolume create /var/lib/vms/one/inner; echo disk > /var/lib/vms/one/inner/image`)
	m.up(m.Reboot)
	m.Shell("echo changed > /etc/app.conf")
	m.up(m.Reboot)

	got := m.Shell("touch /run/before; sleep 0.1; ebb restore --dry-run --from 2 /var/lib/app; find /etc /home /var -xdev -newer /run/before")
	if want := "/var/lib/app would be restored from root 2: 7 files ("; !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
		t.Errorf("a dry run says, and then comes what it has changed:\n%s\nwant only\n%s", got, want)
	}

	m.Shell("ebb restore --set-id --from 2 /var/lib/app /home/gabriel/docs /etc/app.conf /etc/clock /etc/app.key")
	if after := m.Shell(describeAdopted); after != before {
		t.Errorf("what the root had was\n%s\nand is\n%s", before, after)
	}

	// From the newest that has it.
	m.wantRefused("is there: --force moves it to a backup name", "/etc/app.conf")
	m.want("conf", "cat", "/etc/app.conf")
	for n, was := range []string{"conf", "changed"} {
		m.Shell("ebb restore --force /etc/app.conf")
		m.want("changed", "cat", "/etc/app.conf")
		m.want(was, "cat", "/etc/app.conf.before-restore-"+string(rune('1'+n)))
	}

	// To a directory; without --set-id no such bit comes along.
	m.Shell("mkdir /run/to; ebb restore --to /run/to --from 2 /var/lib/app/file; test ! -u /run/to/file; test -u /var/lib/app/file")
	m.want("data", "cat", "/run/to/file")

	// Subvolumes, as directories.
	m.Shell("ebb restore /var/lib/vms; test $(stat -c %i /var/lib/vms/one) != 256; test $(stat -c %i /var/lib/vms/one/inner) != 256")
	m.want("disk", "cat", "/var/lib/vms/one/inner/image")

	// Into the store, with shared data.
	got = m.Shell("ebb restore --json --into-store --from 2 /opt/tool /var/lib/app/nested/deep/big")
	if text := strings.Join(strings.Fields(got), ""); !strings.Contains(text, `"copied":0,"shared":30`) {
		t.Error(got)
	}
	m.want("tool", "cat", "/persist/opt/tool/file")
	m.Shell(`test "$(sha256sum < /var/lib/app/nested/deep/big)" = "$(sha256sum < /persist/var/lib/app/nested/deep/big)"`)
	m.wantGone("/opt/tool")

	m.Shell("touch /srv/data/mine")
	m.wantRefused("is a mount, an entry perhaps, and not empty: restore with --to /srv/data", "--force", "--from", "2", "/srv/data")
	m.wantRefused("neither a directory nor a regular file", "--to", "/run/to", "/var/lib/app/nested/link")
	m.wantRefused("no archived root has it", "/etc/never")

	m.Shell("ebb status")
	m.Cut()
}

// wantRefused runs ebb restore, which has to say why it does nothing.
func (m *machine) wantRefused(why string, args ...string) {
	m.t.Helper()
	r := m.Try(append([]string{"ebb", "restore"}, args...)...)
	if r.Status != 1 || !strings.Contains(r.Stderr, why) {
		m.t.Errorf("ebb restore %q: status %d, want %q\n%s%s", args, r.Status, why, r.Stdout, r.Stderr)
	}
}
