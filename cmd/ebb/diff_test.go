package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// waitTick waits until the clock that a baseline is taken from is behind all times
// that files have got. It ticks, at times late, while a file that was looked at gets
// finer times (Linux 6.13, Documentation/filesystems/multigrain-ts.rst).
func waitTick(t *testing.T) {
	t.Helper()
	read := func(clock int32) int64 {
		var at unix.Timespec
		if err := unix.ClockGettime(clock, &at); err != nil {
			t.Fatal(err)
		}
		return at.Nano()
	}
	for now := read(unix.CLOCK_REALTIME); read(unix.CLOCK_REALTIME_COARSE) <= now; {
		time.Sleep(time.Millisecond)
	}
}

func TestDiff(t *testing.T) {
	root, config, scratch := t.TempDir(), writeFile(t, goodConfig), t.TempDir()
	common := []string{"--root", root, "--config", config, "--run-dir", filepath.Join(scratch, "run")}
	diff := func(args ...string) result { return ebb(t, append(append([]string{"diff"}, args...), common...)...) }

	testenv.Tree(t, root, "file etc/made 0644 0:0 by activation", "dir persist")
	if r := diff(); r.status != 0 || !strings.Contains(r.stdout, "has not recorded") || !strings.Contains(r.stdout, "made") {
		t.Errorf("without a baseline: %+v", r)
	}
	waitTick(t)
	if r := ebb(t, append([]string{"mount", "--finish"}, common...)...); r.status != 0 {
		t.Fatalf("finish: %+v", r)
	}
	if r := diff("--exit-code"); r.status != 0 || r.stdout != "Nothing has changed since this boot.\n" {
		t.Errorf("nothing: %+v", r)
	}
	testenv.Tree(t, root, "file var/lib/bluetooth/AA/info 0600 0:0 key", "file var/log/l 0644 0:0 kept", "dir home/ann")
	if err := os.WriteFile(filepath.Join(root, "home/ann/\x1b[31m\n"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := diff("--exit-code")
	for _, text := range []string{`\x1b[31m\n`, "Bluetooth pairings, must be kept", "2 files (8 B) have changed", "kind none"} {
		if !strings.Contains(r.stdout, text) {
			t.Errorf("no %q in %s", text, r.stdout)
		}
	}
	if r.status != exitFailed || strings.ContainsRune(r.stdout, 0x1b) || strings.Contains(r.stdout, "log") {
		t.Errorf("%+v", r)
	}
	if r := diff("--files0", "/home"); r.stdout != "/home/ann/\x1b[31m\n\x00" {
		t.Errorf("names: %q", r.stdout)
	}
	if r := diff("--since", "later"); r.status != exitUsage {
		t.Errorf("a wrong time: %+v", r)
	}
	checkDiffJSON(t, diff("--json", "--save"), filepath.Join(root, "persist/.ebb/diff"))
}

// A root in memory has its directories noted once in a boot: what is renamed
// after that is known.
func TestDiffInMemory(t *testing.T) {
	testenv.Need(t, testenv.TierNamespaces)
	root, scratch := t.TempDir(), t.TempDir()
	config := writeFile(t, `{"version": 1, "root": {"kind": "tmpfs"}}`)
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	common := []string{"--root", root, "--config", config, "--run-dir", filepath.Join(scratch, "run")}
	testenv.Tree(t, root, "file var/lib/app/data 0644 0:0 made", "dir var/lib/other")
	waitTick(t)
	for range 2 {
		if r := ebb(t, append([]string{"mount", "--finish"}, common...)...); r.status != 0 {
			t.Fatalf("finish: %+v", r)
		}
		if err := os.Rename(root+"/var/lib/app", root+"/var/lib/new"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if r := ebb(t, append([]string{"diff", "--files0"}, common...)...); r.stdout != "/var/lib/new/data\x00" {
		t.Errorf("lost: %+v", r)
	}
}

func checkDiffJSON(t *testing.T, r result, dir string) {
	t.Helper()
	var doc diffDocument
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if doc.Version != 1 || doc.Lost.Files != 2 || doc.Lost.Bytes != 8 || doc.Baseline == nil || len(doc.Items) < 2 {
		t.Errorf("%+v", doc)
	}
	saved, err := os.ReadDir(dir)
	if err != nil || len(saved) != 1 {
		t.Fatalf("%v, %v", saved, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, saved[0].Name())); err != nil || string(data) != r.stdout {
		t.Errorf("%s, %v", data, err)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90m": now.Add(-90 * time.Minute), "2h": now.Add(-2 * time.Hour), "3d": now.Add(-72 * time.Hour),
		"2026-01-02": time.Date(2026, 1, 2, 0, 0, 0, 0, time.Local),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-3d", "soon", "99999999d"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
