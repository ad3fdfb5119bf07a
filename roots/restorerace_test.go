package roots

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// restoredInRace is how often a directory is restored while names are exchanged.
const restoredInRace = 40

// TestRestoreRaces restores a directory of a user again and again, while the
// user exchanges its parent, the name it is copied under and its own name for
// links that lead out, and the parents that have to be made for a directory of
// root's. Nothing outside of the user's own directory changes.
func TestRestoreRaces(t *testing.T) {
	staged := "srv/ada/docs/" + sys.TemporaryName("tree")
	tests := []struct {
		name, live, other, a, b string
	}{
		{"parent and link", "dir @/srv/ada/docs 0755 1000:100", "link @/srv/ada/x ../../out", "srv/ada/docs", "srv/ada/x"},
		{"parent and link to the archive", "dir @/srv/ada/docs 0755 1000:100", "link @/srv/ada/x ../../../@roots", "srv/ada/docs", "srv/ada/x"},
		{"missing parent and link", "dir @/srv/ada 0777 1000:100", "link @/srv/ada/x ../../out", "srv/ada/docs", "srv/ada/x"},
		{"missing parent and directory of root", "dir @/srv/ada 0777 1000:100", "file @/srv/ada/x/secret 0600 0:0 canary", "srv/ada/docs", "srv/ada/x"},
		{"copy and link", "dir @/srv/ada/docs 0755 1000:100", "link @/srv/ada/docs/x ../../../out/tree", staged, "srv/ada/docs/x"},
		{"copy and directory of root", "dir @/srv/ada/docs 0755 1000:100", "file @/srv/ada/docs/x/secret 0600 0:0 canary", staged, "srv/ada/docs/x"},
		{"name and link", "dir @/srv/ada/docs/tree 0755 1000:100", "link @/srv/ada/docs/x ../../../out/tree", "srv/ada/docs/tree", "srv/ada/docs/x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDisk(t)
			d.archive(1, "dir srv 0755 0:0", "dir srv/ada 0777 1000:100", "dir srv/ada/docs 0755 1000:100", "dir srv/ada/docs/tree 0755 1000:100",
				"file srv/ada/docs/tree/a 0644 1000:100 archived", "file srv/ada/docs/tree/b/c 0644 1000:100 archived")
			testenv.Tree(t, d.Dir, "dir @/srv 0755 0:0", "file @/out/tree/secret 0600 0:0 canary")
			outside, archived := testenv.Fingerprint(t, d.Path("@/out")), testenv.Fingerprint(t, d.Path("@roots"))
			restored, swaps := 0, 0
			for range restoredInRace {
				testenv.Tree(t, d.Dir, "dir @/srv/ada 0777 1000:100", test.live, test.other)
				swapped, err := d.restoreInRace(d.Path("@", test.a), d.Path("@", test.b))
				if swaps += swapped; err == nil {
					restored++
				}
				d.requireRootsOwn(strings.Count(test.other, "secret"))
				if diff := outside.Diff(testenv.Fingerprint(t, d.Path("@/out"))) + archived.Diff(testenv.Fingerprint(t, d.Path("@roots"))); diff != "" {
					t.Fatalf("outside of the user's directory:\n%s", diff)
				}
				if err := os.RemoveAll(d.Path("@/srv/ada")); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("restored %d times of %d, %d exchanges", restored, restoredInRace, swaps)
			if swaps < 10*restoredInRace || restored == 0 {
				t.Error("who should be in each other's way is not")
			}
			// Without the race it is restored.
			testenv.Tree(t, d.Dir, "dir @/srv/ada 0777 1000:100")
			if _, err := d.restore().Path("/srv/ada/docs/tree"); err != nil {
				t.Fatal(err)
			}
			want := testenv.Fingerprint(t, d.Path("@roots/000001/root/srv/ada/docs/tree"))
			if diff := want.Diff(testenv.Fingerprint(t, d.Path("@/srv/ada/docs/tree"))); diff != "" {
				t.Errorf("restored:\n%s", diff)
			}
		})
	}
}

// restoreInRace restores while two names are exchanged, or the one that is
// there takes the name of the other, without pause. It counts how often.
func (d *disk) restoreInRace(a, b string) (swaps int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ctx.Err() == nil; n++ {
			if n == 10 {
				close(begun)
			}
			if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil ||
				unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_NOREPLACE) == nil ||
				unix.Renameat2(unix.AT_FDCWD, b, unix.AT_FDCWD, a, unix.RENAME_NOREPLACE) == nil {
				swaps++
			}
		}
	}()
	<-begun
	r := d.restore()
	r.Force = true
	_, err = r.Path("/srv/ada/docs/tree")
	cancel()
	<-ended
	return swaps, err
}

// requireRootsOwn fails the test when the directory of root's that the user
// has in their own, if any, is gone, or has got another owner or mode.
func (d *disk) requireRootsOwn(want int) {
	d.t.Helper()
	found := 0
	_ = filepath.WalkDir(d.Path("@/srv/ada"), func(p string, e os.DirEntry, err error) error {
		if err != nil || e.Name() != "secret" {
			return nil
		}
		found++
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Dir(p), &st); err != nil || st.Uid != 0 || st.Mode&0o7777 != 0o755 {
			d.t.Fatalf("%s: uid %d, mode %o, %v", filepath.Dir(p), st.Uid, st.Mode, err)
		}
		return nil
	})
	if found != want {
		d.t.Fatalf("%d directories of root's, want %d", found, want)
	}
}
