package archive

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestDirectoryName(t *testing.T) {
	for number, name := range map[uint64]string{1: "000001", 41: "000041", 999999: "999999", 1000000: "1000000"} {
		if got := DirectoryName(number); got != name {
			t.Errorf("%d: got %q", number, got)
		}
		if got, ok := ParseDirectoryName(name); got != number || !ok {
			t.Errorf("%q: got %d, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "1", "00001", "0000001", "-00001", "+00001", "00001a", ".next", "18446744073709551616"} {
		if got, ok := ParseDirectoryName(name); ok {
			t.Errorf("%q was read as %d", name, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"000010", "000002", "1000000", ".next", ".trash", "notes", "7"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 2 { // the position of the caller's descriptor does not matter
		got, err := Numbers(fd)
		if want := []uint64{2, 10, 1000000}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

func TestInfoRoundTrip(t *testing.T) {
	want := &Info{
		Sequence: 41,
		Archived: time.Unix(1_700_000_000, 0).UTC(),
		Boot:     Boot{ID: "b", Time: time.Unix(1_700_000_000, 0).UTC(), Kernel: "6.12", System: "/nix/store/x-nixos-system"},
		Previous: &Boot{ID: "a"},
		Subvolumes: []Member{
			{Name: "root", Path: "@", Fresh: btrfs.UUID{1}, Old: btrfs.UUID{2}, OldID: 256},
			{Name: "home", Path: "@home", Fresh: btrfs.UUID{3}},
		},
	}
	data, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseInfo(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

const goodInfo = `{"version": 1, "sequence": 41, "subvolumes": [{"name": "root", "path": "@", "fresh_uuid": "11111111-2222-3333-4444-555555555555"}]}`

// A disk may hold anything under this name.
func TestParseInfoRefuses(t *testing.T) {
	if _, err := ParseInfo([]byte(goodInfo)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, change := range map[string][2]string{
		"cut":             {`"subvolumes"`, `"subvol`},
		"version":         {`"version": 1`, `"version": 2`},
		"no number":       {`41`, `0`},
		"negative":        {`41`, `-41`},
		"beyond int64":    {`41`, `18446744073709551615`},
		"type":            {`41`, `"41"`},
		"name with slash": {`"root"`, `"../root"`},
		"name of a file":  {`"root"`, `"meta.json"`},
		"hidden name":     {`"root"`, `".next"`},
		"no uuid":         {`11111111-2222-3333-4444-555555555555`, `00000000-0000-0000-0000-000000000000`},
		"bad uuid":        {`11111111-`, `1111111-`},
	} {
		if i, err := ParseInfo([]byte(strings.Replace(goodInfo, change[0], change[1], 1))); err == nil {
			t.Errorf("%s: got through as %+v", name, i)
		}
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add([]byte(goodInfo))
	f.Add([]byte(`{"version":1,"sequence":1,"subvolumes":[{"name":"a"},{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := ParseInfo(data)
		if err != nil {
			return
		}
		for _, m := range i.Subvolumes {
			if strings.ContainsAny(m.Name, "/\x00") || m.Fresh.IsZero() {
				t.Errorf("member %+v got through", m)
			}
		}
	})
}

func TestLastClock(t *testing.T) {
	testenv.Need(t, testenv.TierRoot) // trusted.* is root's, xattr(7)
	fd := testenv.OpenDir(t, t.TempDir())
	if last, err := LastClock(fd); err != nil || !last.IsZero() {
		t.Errorf("never believed: %v, %v", last, err)
	}
	now := time.Unix(1_700_000_000, 0)
	if err := SetLastClock(fd, now); err != nil {
		t.Fatal(err)
	}
	if last, err := LastClock(fd); err != nil || !last.Equal(now) {
		t.Errorf("believed at %v: %v, %v", now, last, err)
	}
	if last, err := LastClock(-1); err == nil {
		t.Errorf("who cannot ask is told %v", last)
	}
}
