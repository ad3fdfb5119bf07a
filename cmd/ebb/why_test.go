package main

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestWhySaysWhatIsNext: whatever becomes of a path, the last line is what to
// type next.
func TestWhySaysWhatIsNext(t *testing.T) {
	m := newMachine(t)
	testenv.Tree(t, m.Dir, "file @/etc/gone 0644 0:0 old")
	m.bootByHand(t)
	testenv.Tree(t, m.root, "file var/log/x", "file etc/mine", "file etc/kept", "link etc/link /somewhere", "file persist/x", "file persist/srv/only/x",
		"dir persist/.ebb 0700", "file persist/.ebb/x", "file opt/both 0644 0:0 live", "file persist/opt/both 0644 0:0 store", "dir memory", "dir proc", "file var/cache/app/x",
		"file late/x")
	for dir, kind := range map[string]string{"/memory": "tmpfs", "/proc": "proc"} {
		if err := unix.Mount(kind, m.root+dir, kind, 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Tree(t, m.root, "file memory/x")
	m.expect(t, 0, "kept /etc/kept", "keep", "/etc/kept")
	m.declare(t, "/var/log", "/late")
	for _, test := range []struct {
		path   string
		status int
		next   string
	}{
		{"/var/log/x", 0, "ebb status"},
		{"/var/log/none", 0, "ebb status"},
		{"/etc/kept", 0, "ebb keep --list   # to declare it"},
		{"/persist/etc/name", 0, "ebb why /etc/name"},
		{"/persist", 0, "ebb orphans"},
		{"/persist/.ebb/x", 0, "ebb orphans"},
		{"/proc/self", 0, "ebb diff"},
		{"/etc/mine", 1, "ebb keep /etc/mine"},
		{"/var/cache/app", 1, "ebb keep /var/cache/app   # but it need not be kept"},
		{"/etc/link", 1, "ebb diff /etc/link"},
		{"/var", 1, "ebb diff /var"},
		{"/opt/both", 1, "mv /persist/opt/both /persist/opt/both.old && ebb keep /opt/both   # to take what is there now"},
		{"/memory/x", 1, "cp -a /memory/x /persist/"},
		{"/late", 1, "ebb apply"},
		{"/late/x", 1, "ebb apply"},
		{"/etc/gone", 1, "ebb restore --from 1 /etc/gone"},
		{"/srv/only", 1, "ebb keep /srv/only"},
		{"/etc/never*", 1, `ebb find 'never\*'`},
		{"/etc/mine/x", 1, `ebb why "$(realpath /etc/mine/x)"`},
	} {
		got := m.expect(t, test.status, "", "why", test.path)
		lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
		if last := lines[len(lines)-1]; last != test.next {
			t.Errorf("why %s: the last line is %q, want %q:\n%s", test.path, last, test.next, got.stdout)
		}
	}
}
