package stores

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInNamespaces(m)) }

var now = time.Date(2026, 11, 23, 5, 20, 0, 0, time.UTC)

// open opens the store /persist below dir, with entries for the paths.
func open(t testing.TB, dir string, entries ...string) *Store {
	t.Helper()
	s, err := openWith(dir, entries, "/persist/mine/secrets")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func openWith(dir string, entries []string, ignored ...string) (*Store, error) {
	declared := &config.Store{Path: "/persist"}
	for _, p := range entries {
		declared.Entries = append(declared.Entries, config.Entry{Path: p})
	}
	s, err := Open(dir, declared, ignored)
	if err == nil {
		s.Now = now
	}
	return s, err
}

// orphans returns the orphans, as "path type files" words.
func orphans(t testing.TB, s *Store) string {
	t.Helper()
	list, err := s.Orphans()
	if err != nil {
		t.Error(err)
	}
	var words []string
	for _, o := range list {
		words = append(words, fmt.Sprintf("%s %s %d", strings.TrimPrefix(o.Path, s.Path), o.Type, o.Files))
	}
	return strings.Join(words, ", ")
}

func TestOrphans(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/etc", "file persist/etc/machine-id", "file persist/etc/old",
		"dir persist/var", "dir persist/var/lib", "dir persist/var/lib/a", "file persist/var/lib/a/kept",
		"dir persist/var/lib/b", "dir persist/var/lib/b/deep", "file persist/var/lib/b/deep/1", "file persist/var/lib/b/2", "link persist/var/lib/b/out /etc",
		"dir persist/srv", "dir persist/empty", "dir persist/mine", "dir persist/mine/secrets", "file persist/mine/secrets/key",
		"link persist/link /etc", "dir persist/.ebb 0700", "file persist/.ebb/ledger", "dir persist/lost+found", "file persist/home")
	s := open(t, dir, "/etc/machine-id", "/var/lib/a", "/var/lib/a/inside", "/srv", "/home/u")
	got := strings.Split(orphans(t, s), ", ")
	for _, want := range []string{"/etc/old regular file 1", "/var/lib/b directory 3", "/empty directory 0", "/link symbolic link 1", "/home regular file 1"} {
		if !strings.Contains(strings.Join(got, ", "), want) {
			t.Errorf("%s is not in %q", want, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("got %q", got)
	}
}

// What "ebb keep" has put into the store is in use; a list of it that cannot be
// read makes nothing an orphan.
func TestKeptIsDeclared(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/a", "file persist/f", "dir persist/b", "dir persist/.ebb 0700")
	list := filepath.Join(dir, "persist/.ebb/kept.json")
	for text, want := range map[string]string{
		`{"version": 1, "directories": [{"path": "/a", "kept": "2026-11-23T05:00:00Z"}], "files": [{"path": "/f"}]}`: "/b directory 0",
		`{"version": 1, "directories": [{"path": "/b"}, {"path": "a"}, {"path": "/f/.."}], "files": []}`:             "/a directory 0, /f regular file 1",
		`{`: "-",
	} {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := "-"
		if s, err := openWith(dir, nil); err == nil {
			got = orphans(t, s)
			s.Close()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// Sizes are those on the disk, and each inode counts once.
func TestOrphanSizes(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/d", "dir persist/sparse")
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 7)
	}
	if err := os.WriteFile(filepath.Join(dir, "persist/d/a"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "persist/d/a"), filepath.Join(dir, "persist/d/b")); err != nil {
		t.Fatal(err)
	}
	huge, err := os.Create(filepath.Join(dir, "persist/sparse/huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := huge.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	huge.Close()
	unix.Sync()
	list, err := open(t, dir).Orphans()
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if d := list[0]; d.Files != 2 || d.Bytes < 1<<20 || d.Bytes > 3<<19 {
		t.Errorf("%+v", d)
	}
	if sparse := list[1]; sparse.Bytes > 1<<20 {
		t.Errorf("%+v", sparse)
	}
}

// What an entry of this boot is still mounted from is told, and stays.
func TestMounted(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/a", "dir persist/a/in", "dir persist/b", "dir persist/b/on", "dir persist/c", "dir target")
	mount := func(from, to string, flags uintptr) {
		t.Helper()
		if err := unix.Mount(filepath.Join(dir, from), filepath.Join(dir, to), "tmpfs", flags, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(filepath.Join(dir, to), unix.MNT_DETACH) })
	}
	mount("persist/a/in", "target", unix.MS_BIND)
	mount("none", "persist/b/on", 0)
	s := open(t, dir)
	for rel, want := range map[string]string{"/a": dir + "/target", "/b": dir + "/persist/b/on", "/c": ""} {
		if got := s.Mounted(rel); got != want {
			t.Errorf("%s: %q", rel, got)
		}
		if _, err := s.Trash(rel, false); (err == nil) != (want == "") {
			t.Errorf("%s: %v", rel, err)
		}
	}
	testenv.Tree(t, dir, "file persist/b/on/inside")
	if got := orphans(t, s); !strings.Contains(got, "/b directory 0") {
		t.Errorf("got %s", got)
	}
}

func TestLedger(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist", "dir persist/var", "dir persist/var/a", "dir persist/var/b", "dir persist/var/c")
	boot := func(day int, doubt string, entries ...string) {
		t.Helper()
		s := open(t, dir, entries...)
		s.Now, s.Doubt = now.AddDate(0, 0, day), doubt
		if err := s.Record(); err != nil {
			t.Fatal(err)
		}
	}
	boot(0, "", "/var/a", "/var/b/deep")
	boot(1, "", "/var/a", "/var/b/deep")
	boot(2, "", "/var/b/deep")
	boot(-9000, "the clock shows 2002", "/etc/x")
	boot(3, "")
	list, err := open(t, dir).Orphans()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range list {
		got[filepath.Base(o.Path)] = "never"
		if o.DeclaredUntil != nil {
			got[filepath.Base(o.Path)] = o.DeclaredUntil.Format("02")
		}
	}
	if fmt.Sprint(got) != "map[var:25]" {
		t.Errorf("got %v", got)
	}
	s := open(t, dir, "/var/d")
	for rel, want := range map[string]string{"/var/a": "24", "/var/a/in": "24", "/var/b": "25", "/var/c": "01", "/etc/x": "25"} {
		if got := s.declaredUntil(rel); got.Format("02") != want {
			t.Errorf("%s: %v", rel, got)
		}
	}
	if status, err := os.Stat(filepath.Join(dir, "persist/.ebb/ledger")); err != nil || status.Mode() != 0o600 {
		t.Errorf("%v, %v", status, err)
	}
}

// A ledger that cannot be read loses "since when" and nothing else; that of a
// newer ebb is left alone.
func TestBadLedgers(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "{": true, `{"version": 1, "entries": [{"last": 7}]}`: true, `{"version": 2}`: false} {
		dir := t.TempDir()
		testenv.Tree(t, dir, "dir persist", "dir persist/.ebb 0700", "file persist/.ebb/ledger 0600 0:0 "+text)
		s, err := openWith(dir, []string{"/a"})
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil {
			continue
		}
		if err := s.Record(); err != nil {
			t.Error(err)
		}
		s.Close()
		if again := open(t, dir); len(again.ledger.Entries) != 1 {
			t.Errorf("%q: %v", text, again.ledger)
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	dir := t.TempDir()
	testenv.Tree(t, dir, "dir persist")
	s := open(t, dir, "/now")
	for i := range mostOld + 10 {
		s.ledger.Entries = append(s.ledger.Entries, ledgerEntry{Path: fmt.Sprint("/", i), Last: now.Add(-time.Duration(i) * time.Hour)})
	}
	if err := s.Record(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if n := len(s.ledger.Entries); n != mostOld+1 {
		t.Errorf("%d entries", n)
	}
	if !s.LastSeen().Equal(now) {
		t.Errorf("last seen %v", s.LastSeen())
	}
}

// Nobody but root may have made the directory that says what was declared and
// holds the trash.
func TestOwnDirectory(t *testing.T) {
	for _, own := range []string{"dir persist/.ebb 0700 1:1", "link persist/.ebb /etc", "file persist/.ebb"} {
		dir := t.TempDir()
		testenv.Tree(t, dir, "dir persist")
		if os.Getuid() != 0 && strings.HasSuffix(own, "1:1") {
			continue
		}
		testenv.Tree(t, dir, own)
		if s, err := openWith(dir, nil); err == nil {
			s.Close()
			t.Errorf("%s was taken", own)
		}
	}
}
