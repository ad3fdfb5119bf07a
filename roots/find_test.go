package roots

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// find returns what was found, as "path roots type size" lines.
func (d *disk) find(members []Member, from uint64, patterns ...string) string {
	d.t.Helper()
	if members == nil {
		members = []Member{{Name: "root", Mount: "/"}}
	}
	f := &Find{Top: d.Open(), Archive: "@roots", Members: members, From: from}
	found, err := f.Run(patterns)
	if err != nil {
		d.t.Errorf("%q: %v", patterns, err)
	}
	var lines []string
	for _, v := range found {
		lines = append(lines, fmt.Sprintf("%q %v %s %d", v.Path, v.Roots, v.Type, v.Size))
	}
	return strings.Join(lines, "\n")
}

func TestFind(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "dir etc 0755 0:0", "file etc/passwd 0644 0:0 one", "file etc/gone 0600 0:0 was", "link etc/l etc/passwd")
	d.archive(2, "dir etc 0755 0:0", "file etc/passwd 0644 0:0 two", "link etc/l etc/passwd", "subvolume var", "subvolume var/lib", "file var/lib/db 0600 7:8 data")
	d.archive(3, "dir etc 0755 0:0", "file etc/passwd 0644 0:0 two", "link etc/l etc/shadow", "subvolume var", "file var/db.old 0600 7:8 x",
		"fifo etc/fifo", "dir etc/passwd.d 0755 0:0", "link out /etc")
	for _, test := range []struct{ pattern, want string }{
		{"passwd", `"/etc/passwd" [3 2] regular file 3` + "\n" + `"/etc/passwd" [1] regular file 3`},
		{"/etc/passwd", `"/etc/passwd" [3 2] regular file 3` + "\n" + `"/etc/passwd" [1] regular file 3`},
		{"/passwd", ""},
		{"etc/g*", `"/etc/gone" [1] regular file 3`},
		{"/**/db*", `"/var/db.old" [3] regular file 1` + "\n" + `"/var/lib/db" [2] regular file 4`},
		{"/var/lib/", `"/var/lib" [2] directory 0`},
		{"l", `"/etc/l" [3] symbolic link 0` + "\n" + `"/etc/l" [2 1] symbolic link 0`},
		{"fifo", `"/etc/fifo" [3] FIFO 0`},
		{"/etc/passwd.?", `"/etc/passwd.d" [3] directory 0`},
		{"/etc", `"/etc" [3 2 1] directory 0`},
		{"/out/*", ""},
		{"nothing", ""},
	} {
		if got := d.find(nil, 0, test.pattern); got != test.want {
			t.Errorf("%q: got\n%s\nwant\n%s", test.pattern, got, test.want)
		}
	}
	if got := d.find(nil, 2, "passwd", "db"); got != `"/etc/passwd" [2] regular file 3`+"\n"+`"/var/lib/db" [2] regular file 4` {
		t.Errorf("from 2, of two patterns:\n%s", got)
	}
}

// Members are searched where they were mounted; what they were mounted over
// cannot be restored and is not found.
func TestFindInMembers(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "dir home 0755 0:0", "file home/hidden 0600 0:0 x", "file home.txt 0600 0:0 x")
	testenv.Tree(t, d.Dir, "subvolume @roots/000001/home", "dir @roots/000001/home/u 0700 0:0", "file @roots/000001/home/u/seen 0600 0:0 x")
	members := []Member{{Name: "home", Mount: "/home"}, {Name: "srv", Mount: "/srv"}, {Name: "root", Mount: "/"}}
	for pattern, want := range map[string]string{
		"hidden":     "",
		"seen":       `"/home/u/seen" [1] regular file 1`,
		"/home/*/s*": `"/home/u/seen" [1] regular file 1`,
		"home*":      `"/home" [1] directory 0` + "\n" + `"/home.txt" [1] regular file 1`,
	} {
		if got := d.find(members, 0, pattern); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", pattern, got, want)
		}
	}
}

// Equal sizes and times do not hide another content, and another time does not
// show the same content twice.
func TestFindComparesContents(t *testing.T) {
	d := newDisk(t)
	at := time.Unix(1e9, 0)
	for number, text := range []string{"aaaa", "bbbb", "aaaa", "bbbb", "bbbb"} {
		n := uint64(number + 1)
		dir := fmt.Sprintf("@roots/%06d/root", n)
		testenv.Tree(t, d.Dir, fmt.Sprintf("dir @roots/%06d 0700 0:0", n), "subvolume "+dir)
		for name, text := range map[string]string{"f": text, "big": strings.Repeat(text, 50_000)} {
			if err := os.WriteFile(d.Path(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			changed := at
			if n == 5 {
				changed = at.Add(time.Hour)
			}
			if err := os.Chtimes(d.Path(dir, name), changed, changed); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := `"/f" [5 4 2] regular file 4` + "\n" + `"/f" [3 1] regular file 4`
	if got := d.find(nil, 0, "f"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := d.find(nil, 0, "big"); got != strings.ReplaceAll(strings.ReplaceAll(want, `"/f"`, `"/big"`), "file 4", "file 200000") {
		t.Errorf("got\n%s", got)
	}
}

// Names are data: none of them is a pattern, a path, or an end.
func TestFindHostileNames(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	d.setReadOnly("@roots/000001/root", false)
	names := []string{"\x1b[2J", "a\nb", "*", "[", "-rf", "\u202ecod", "\xff\xfe", strings.Repeat("n", 255)}
	for _, name := range names {
		if err := os.WriteFile(d.Path("@roots/000001/root", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := d.find(nil, 0, "/*")
	for _, name := range names {
		if !strings.Contains(got, fmt.Sprintf("%q [1]", "/"+name)) {
			t.Errorf("%q is not in\n%s", name, got)
		}
	}
	for _, pattern := range []string{"[", "a/../b/..", "/", "", ".", "../x", strings.Repeat("a/", 70)} {
		if _, err := (&Find{Top: d.Open(), Archive: "@roots"}).Run([]string{pattern}); err == nil {
			t.Errorf("%q was taken", pattern)
		}
	}
}

// An archived root that is not there, or is no directory of subvolumes, is told
// and keeps nothing else back.
func TestFindDamaged(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "file x 0600 0:0 x")
	testenv.Tree(t, d.Dir, "dir @roots/000002 0700 0:0", "file @roots/000003 0600 0:0 x", "dir @roots/000004 0700 0:0", "link @roots/000004/root /etc")
	f := &Find{Top: d.Open(), Archive: "@roots", Members: []Member{{Name: "root", Mount: "/"}}}
	found, err := f.Run([]string{"x", "passwd"})
	if len(found) != 1 || found[0].Path != "/x" {
		t.Errorf("found %v", found)
	}
	if err == nil || !strings.Contains(err.Error(), "root 3:") || !strings.Contains(err.Error(), "root 4:") {
		t.Errorf("got %v", err)
	}
	f.From = 9
	if _, err := f.Run([]string{"x"}); err == nil || !strings.Contains(err.Error(), "no archived root 9") {
		t.Errorf("got %v", err)
	}
	f.Archive, f.From = "@none", 0
	if found, err := f.Run([]string{"x"}); len(found) != 0 || err != nil {
		t.Errorf("without an archive: %v, %v", found, err)
	}
}
