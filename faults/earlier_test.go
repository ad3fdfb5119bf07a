package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// earlierMeta is meta.json of format 1 as the first ebb has written it. It is a
// text and no value of today's: that must not change along with the code. FRESH,
// OLD and NUMBER are filled in.
const earlierMeta = `{
  "version": 1,
  "sequence": 7,
  "archived": "2026-11-23T01:02:03.456789Z",
  "boot": {
    "id": "5c1b6a52-8f0e-4f0b-9d5e-0f2b6f3a9c11",
    "time": "2026-11-23T01:02:03.456Z",
    "kernel": "6.12.57"
  },
  "subvolumes": [
    {
      "name": "root",
      "path": "@",
      "fresh_uuid": "FRESH",
      "old_uuid": "OLD",
      "old_id": NUMBER
    }
  ]
}
`

// laterMeta is the same of an ebb that has come to know more, which it tells
// without a new format: nobody needs it to recover.
var laterMeta = strings.Replace(earlierMeta, `"sequence": 7,`, `"sequence": 7, "note": {"text": ["x"]}, "previous": {"id": "a", "time": "2026-11-22T00:00:00Z", "kernel": "6.12.57", "system": "/nix/store/x"},`, 1)

// TestNextOfAnotherEbb boots with a rollback that another ebb has begun, of each
// state in which it can have been cut, and then this one has taken its place.
func TestNextOfAnotherEbb(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	staged := []string{"dir @roots 0700 0:0", "dir @roots/.next 0700 0:0"}
	fresh := func(at string) []string {
		return []string{"subvolume " + at, "dir " + at + "/etc", "file " + at + "/from-blank 0644 0:0 blank"}
	}
	for _, c := range []struct {
		name           string
		live, next     []string
		freshAt, oldAt string // of the subvolumes, "" when it is not there
		meta           string
		number         string // under which the old root is in the end
	}{
		{"staged", []string{"subvolume @"}, nil, "", "@", "", "000001"},
		{"made", []string{"subvolume @"}, fresh("@roots/.next/root"), "@roots/.next/root", "@", "", "000002"},
		{"described", []string{"subvolume @"}, fresh("@roots/.next/root"), "@roots/.next/root", "@", earlierMeta, "000009"},
		{"exchanged", fresh("@"), []string{"subvolume @roots/.next/root"}, "@", "@roots/.next/root", earlierMeta, "000007"},
		{"placed", fresh("@"), nil, "@", "", earlierMeta, ""},
		{"described by a later one", []string{"subvolume @"}, fresh("@roots/.next/root"), "@roots/.next/root", "@", laterMeta, "000009"},
		{"exchanged by a later one", fresh("@"), []string{"subvolume @roots/.next/root"}, "@", "@roots/.next/root", laterMeta, "000007"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer inNamespace(t)()
			m.clear(t)
			for _, specs := range [][]string{blankTree, c.live, staged, c.next} {
				testenv.Tree(t, m.Dir, specs...)
			}
			old := m.identify(t, c.oldAt)
			if c.meta != "" {
				text := strings.NewReplacer("FRESH", m.identify(t, c.freshAt).UUID.String(), "OLD", old.UUID.String(), "NUMBER", fmt.Sprint(old.ID)).Replace(c.meta)
				require(t, os.WriteFile(m.Path("@roots/.next/meta.json"), []byte(text), 0o600))
			}
			if c.oldAt != "" {
				testenv.Tree(t, m.Dir, "file "+c.oldAt+"/note 0600 0:0 lived")
				m.written = append(m.written, writing{"root", old.UUID, map[string]string{"note": "lived"}})
			}
			left := m.left(t)
			m.boot()
			m.wantFresh(t, m.rollback(t), "the boot")
			m.wantRecovered(t, left)
			m.whole(t, true)
			if c.number != "" && m.uuidOf(t, "@roots/"+c.number+"/root") != old.UUID {
				t.Errorf("the old root is not %s", c.number)
			}
		})
	}
}

// identify returns what the kernel knows of the subvolume at a path, nothing of
// that of an empty one.
func (d *disk) identify(t *testing.T, path string) (info btrfs.SubvolumeInfo) {
	t.Helper()
	if path == "" {
		return info
	}
	info, err := btrfs.Info(d.Open(path))
	require(t, err)
	return info
}
