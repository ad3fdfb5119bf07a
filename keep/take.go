package keep

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// passes is how often a copy is held against its source, and what changed
// copied again, before it is taken as it is.
const passes = 6

// slack covers the granularity of the kernel's time stamps, in seconds.
const slack = 2

// taking is one copy of what is in use.
type taking struct {
	check func(*copytree.Stats) error

	old      int        // what was copied, O_PATH; to be closed
	status   sys.Status // of old
	since    int64      // what changed after that may not be in the copy
	passes   int
	restless copytree.Differences // of the last pass
	setID    bool                 // what the mount lets set-id programs
	devices  bool                 // and device nodes do
}

func (t *taking) options() copytree.Options {
	return copytree.Options{
		// It is the machine's own tree, and stays in its place.
		SetID: t.setID, Devices: t.devices, Check: t.check, Since: t.since,
	}
}

// take copies what from is open on until a pass over it finds that nothing has
// changed any more, or it has been tried often enough.
func (t *taking) take(from, toDir int, name string) (fd int, stats copytree.Stats, err error) {
	if t.old, err = sys.Duplicate(from); err != nil {
		return -1, stats, err
	}
	if t.status, err = sys.Stat(from); err != nil {
		return -1, stats, err
	}
	t.setID, t.devices = copytree.Powers(from)
	for t.passes = 1; ; t.passes++ {
		begin := time.Now().Unix() - slack
		if t.passes == 1 {
			if fd, stats, err = copytree.Copy(from, toDir, name, t.options()); err == nil {
				// Now, so that little is left for when nobody looks any more.
				err = sys.SyncFilesystem(fd)
			}
		} else {
			err = t.again(from, &fd, toDir, name, &stats)
		}
		if err != nil {
			break
		}
		// Bytes that the file systems do not share were copied by hand, as it
		// were: the first look at them is at all of them.
		if t.since = begin; t.passes == 1 && stats.Copied > 0 {
			t.since = 0
		}
		if t.passes > 1 && !t.restless.Any() || t.passes == passes {
			return fd, stats, nil
		}
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	return -1, stats, err // what is there of the copy goes with its staging directory
}

// again is a further pass.
func (t *taking) again(from int, fd *int, toDir int, name string, stats *copytree.Stats) error {
	if t.status.IsDirectory() {
		var more copytree.Stats
		var err error
		t.restless, more, err = copytree.Update(from, *fd, t.options())
		stats.Copied += more.Copied
		stats.Shared += more.Shared
		return err
	}
	var err error
	if t.restless, err = copytree.Compare(from, *fd, t.options()); err != nil || !t.restless.Any() {
		return err
	}
	unix.Close(*fd)
	*fd = -1
	if err := copytree.Remove(toDir, name); err != nil {
		return err
	}
	*fd, *stats, err = copytree.Copy(from, toDir, name, t.options())
	return err
}

func (t *taking) close() {
	if t.old >= 0 {
		unix.Close(t.old)
	}
}

// measure says in a dry run how much would be copied.
func (m *Machine) measure(r *Result) {
	r.State = Planned
	if !m.Measure {
		return
	}
	fd, err := m.open(r.Path)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	r.Size = &walk.Usage{}
	if err := r.Size.Of(fd); err != nil {
		r.Notes = append(r.Notes, err.Error())
	}
}
