package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
)

// nobody is the number of a user that owns nothing (user.conf, systemd's and the
// kernel's overflow uid).
const nobody = 65534

// TestArchiveIsOutOfReach has a user look for old roots where the top level of
// the file system is mounted: they hold what was everybody's to read and write,
// and programs that are set-user-ID of then. They are tried in each place that
// they can be in: archived, in the staging directory, and in the trash.
func TestArchiveIsOutOfReach(t *testing.T) {
	t.Parallel()
	s := scenario{
		specs: append([]string{"subvolume @", "dir @/pub 0777 0:0", "file @/pub/open 0666 0:0 old", "file @/pub/suid 4755 0:0 old"}, blankTree...),
		boots: 2, cutAt: `"@", 0x2)`,
	}
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	defer inNamespace(t)()
	s.prepare(t, m) // a rollback that was killed behind its exchange
	m.killAfterTrash(t)
	require(t, unix.Mount(m.Device(), "/mnt", "btrfs", 0, "subvolid=5"))
	tried := map[string]int{}
	for _, path := range pathsBelow(t, "/mnt/@roots") {
		for name, attempt := range attempts {
			if err := asNobody(t, func() error { return attempt(path) }); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/mnt/@roots/"), "/")
		tried[first]++
	}
	for _, dir := range []string{"000002", ".next", ".trash"} {
		if tried[dir] < 3 {
			t.Errorf("tried are %v, too few in %s", tried, dir)
		}
	}
	// Who looks can see: what lies beside the archive is everybody's to read.
	if err := asNobody(t, func() error { return attempts["open"]("/mnt/@blank/from-blank") }); err != nil {
		t.Error(err)
	}
}

// attempts are what a user may try with a name.
var attempts = map[string]func(path string) error{
	"open": func(path string) error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	},
	"open by path": func(path string) error {
		// A name in a directory that may not be entered; the archive itself has
		// a name that anybody can see.
		fd, err := unix.Open(path+"/.", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	},
	"creation": func(path string) error { return unix.Mkdir(path+"/new", 0o700) },
	"removal":  func(path string) error { return unix.Rmdir(path) },
}

// asNobody does something with the rights of a user. Without fsuid 0 the thread
// has no capability for files (setfsuid(2), capabilities(7)).
func asNobody(t *testing.T, do func() error) error {
	t.Helper()
	require(t, errors.Join(unix.Setfsgid(nobody), unix.Setfsuid(nobody)))
	err := do()
	require(t, errors.Join(unix.Setfsuid(0), unix.Setfsgid(0)))
	return err
}

// pathsBelow are a directory and all that root finds in it.
func pathsBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	return paths
}

// killAfterTrash kills a deletion of the first archived root when that is in
// the trash.
func (m *machine) killAfterTrash(t *testing.T) {
	t.Helper()
	killed := false
	trace(t, m.ebb("roots", "--yes", "delete", "1"), func(c *tracer.Call) tracer.Fault {
		if killed || c.Name != "renameat2" {
			return tracer.Fault{}
		}
		killed = true
		return tracer.Fault{Action: tracer.KillAfter}
	})
	if !m.exists("@roots/.trash/000001/root") {
		t.Fatal("nothing is in the trash")
	}
}
