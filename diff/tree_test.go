package diff

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// Names that find no room in one reference are in others; the size counts once.
func TestManyHardLinks(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *machine{"btrfs": newBtrfsMachine, "tmpfs": newTmpfsMachine} {
		t.Run(name, func(t *testing.T) {
			m := make(t)
			m.boot()
			const links = 3000
			first := filepath.Join(m.root(), "etc", "linked")
			testenv.Tree(t, m.root(), "file etc/linked 0644 0:0 12345")
			for i := range links {
				if err := os.Link(first, fmt.Sprintf("%s-%d", first, i)); err != nil {
					t.Fatal(err)
				}
			}
			if got := m.judge(Judge{}).Lost; got.Files != links+1 || got.Bytes != 5 {
				t.Errorf("lost %+v", got)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	m := newTmpfsMachine(t)
	m.boot()
	testenv.Tree(t, m.root(), "file home/ann/notes/a 0644 0:0 text", "file home/ann/.cache/big 0644 0:0 cached", "file persist/x 0644 0:0 kept",
		"file var/log/l 0644 0:0 kept", "file var/log2 0644 0:0 lost", "link etc/x /nix/store/y", "fifo tmp/p", "file opt/ignored 0644 0:0 x", "dir srv/new")
	j := m.judge(Judge{
		Kept:   map[string]bool{"/persist": true, "/var/log": true},
		Ignore: ParseIgnore("/opt/ign*\n"),
	})
	want := []string{"/home/ann/notes/a", "/srv/new", "/var/log2"}
	if got := names(t, j, "/"); !slices.Equal(got, want) {
		t.Errorf("lost %q, want %q", got, want)
	}
	if j.Hidden.Files != 2 || j.Hidden.Bytes != 7 {
		t.Errorf("hidden %+v", j.Hidden)
	}
	if got := names(t, j, "/home"); !slices.Equal(got, want[:1]) {
		t.Errorf("below /home: %q", got)
	}
	if _, ok := j.Find("/persist"); ok {
		t.Error("/persist is lost")
	}
	nix := j.Nix(0, "/persist")
	for _, line := range []string{`ebb.persist."/persist" = {`, `users."ann" = {`, `      "notes"`, `"/srv/new"`, `{ path = "/var/log2"; how = "sync"; }`} {
		if !strings.Contains(nix, line) {
			t.Errorf("no %s in\n%s", line, nix)
		}
	}
}

func TestNixString(t *testing.T) {
	for text, want := range map[string]string{
		"/a b": `"/a b"`, `"`: `"\""`, `\`: `"\\"`, "${x}": `"\${x}"`, "$x": `"$x"`, "a\nb\t": `"a\nb\t"`,
		"\x1b": "", "\xff": "", "\u202e": "", "日本": `"日本"`, "''": `"''"`,
	} {
		got, ok := format.Nix(text)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// Where there is much, what is shown is cut, and adds up to the whole.
func TestLines(t *testing.T) {
	m := newTmpfsMachine(t)
	m.boot()
	for i := range 60 {
		for k := range 5 {
			testenv.Tree(t, m.root(), fmt.Sprintf("file home/ann/dir-%d/sub-%d/file 0644 0:0 %s", i, k, strings.Repeat("x", i)))
		}
	}
	testenv.Tree(t, m.root(), "file var/lib/bluetooth/AA/info 0600 0:0 key")
	j := m.judge(Judge{})
	lines := j.Lines(0, 0, 40)
	if len(lines) > 42 || len(lines) < 10 {
		t.Errorf("%d lines", len(lines))
	}
	var sum Sum
	for _, l := range lines {
		if l.Depth == 0 {
			sum.Files += l.Sum.Files
			sum.Bytes += l.Sum.Bytes
		}
	}
	if sum != j.Lost || sum.Files != 301 {
		t.Errorf("the lines have %+v, all is %+v", sum, j.Lost)
	}
	if i := slices.IndexFunc(lines, func(l Line) bool { return l.Path == "/var/lib/bluetooth" }); i < 0 || lines[i].Known == nil {
		t.Errorf("no pairings in %+v", lines)
	}
	if got := j.Lines(0, 1, 40); len(got) != 2 {
		t.Errorf("depth 1: %+v", got)
	}
}

// A clock that was set back hides nothing.
func TestClockSetBack(t *testing.T) {
	now, err := Now(0)
	if err != nil {
		t.Fatal(err)
	}
	before := now
	before.Time, before.Uptime = now.Time.Add(3600e9), now.Uptime-60
	if got, want := before.since(now), now.Time.UnixNano(); got > want {
		t.Errorf("since %d, a file of now is at %d", got, want)
	}
	before.Time = now.Time.Add(-60e9)
	if got := before.since(now); got != before.Time.UnixNano() {
		t.Errorf("since %d, the baseline is %d", got, before.Time.UnixNano())
	}
	if (Baseline{}).since(now) != -1<<63 {
		t.Error("without a baseline something is too old")
	}
}
