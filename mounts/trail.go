package mounts

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// trailOpen is how many directories a trail keeps open at most. Deeper paths
// work as well, at the price of opening their beginning again.
const trailOpen = 8

// trail is a walk down a tree that stays open between entries: the next entry
// in the order mostly lies in the same directory or near by, so that a step
// costs one or no openat(2), whatever the number of entries.
//
// Nothing is ever resolved through "..": to go up is to close.
type trail struct {
	base   int    // the directory that the walk begins in, not owned
	prefix string // the path of base, for messages
	// lasting: what is made here outlives the boot.
	lasting bool
	top     step // the base as a step, for its status
	steps   []step
	open    int // how many steps have a descriptor

	// grafts stand for mounts that a dry run would have made by then: a copy
	// of the descriptor of their source, or -1 for a source that would have
	// been made empty.
	grafts map[string]int
}

// step is one directory on the way down.
type step struct {
	name   string
	fd     int // -1: closed to save descriptors
	status sys.Status
	known  bool // status is filled in
	made   bool // this run made it, for root alone to write to
}

func (t *trail) close() {
	t.cut(0)
	for _, fd := range t.grafts {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	t.grafts = nil
}

// cut goes back up until only n steps are left.
func (t *trail) cut(n int) {
	for i := len(t.steps) - 1; i >= n; i-- {
		if t.steps[i].fd >= 0 {
			unix.Close(t.steps[i].fd)
			t.open--
		}
	}
	t.steps = t.steps[:n]
}

// depth is the number of directories below the base that the trail is in.
func (t *trail) depth() int { return len(t.steps) }

// fd returns the descriptor of the directory that the trail is in.
func (t *trail) fd() int {
	if len(t.steps) == 0 {
		return t.base
	}
	return t.steps[len(t.steps)-1].fd
}

// enter goes to the directory dir, an absolute clean path below the base. It
// returns the part of dir that does not exist, "" if all does; the trail is
// then in the deepest directory that does exist.
func (t *trail) enter(dir string) (missing string, err error) {
	rest := t.rewind(dir)
	if err := t.reopenLast(); err != nil {
		return "", err
	}
	for rest != "" {
		name, next, _ := strings.Cut(rest, "/")
		fd, err := t.openStep(name)
		if errors.Is(err, unix.ENOENT) || fd == absent && err == nil {
			return rest, nil
		}
		if err != nil {
			return "", err
		}
		t.push(name, fd)
		rest = next
	}
	return "", nil
}

// rewind goes back up to the last directory that the trail has in common with
// dir, and returns the way down from there.
func (t *trail) rewind(dir string) (rest string) {
	rest = strings.TrimPrefix(dir, "/")
	for i := range t.steps {
		name, next, _ := strings.Cut(rest, "/")
		if name != t.steps[i].name {
			t.cut(i)
			return rest
		}
		rest = next
	}
	return rest
}

// absent is what openStep returns in place of a descriptor for a directory
// that a dry run would have made.
const absent = -1

func (t *trail) openStep(name string) (int, error) {
	if len(t.grafts) > 0 {
		if graft, found := t.grafts[t.path()+"/"+name]; found {
			if graft < 0 {
				return absent, nil
			}
			return sys.ReopenDirectory(graft, unix.O_PATH)
		}
	}
	fd, err := sys.OpenComponent(t.fd(), name, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return -1, t.refuse(name, err)
	}
	return fd, err
}

// refuse says what stands in the way where a directory ought to be.
func (t *trail) refuse(name string, err error) error {
	status, statErr := sys.StatComponent(t.fd(), name)
	if statErr != nil {
		return err
	}
	if status.IsDirectory() {
		return format.Errorf("%s was exchanged while it was looked at: %w", quotePath(t.prefix+t.path()+"/"+name), err)
	}
	return &Refusal{Path: t.prefix + t.path() + "/" + name, Is: status.TypeName(), UID: status.UID, Want: "directory"}
}

// push adds a directory that is open as fd; the trail owns it from now on.
func (t *trail) push(name string, fd int) {
	t.steps = append(t.steps, step{name: name, fd: fd})
	t.open++
	for i := 0; t.open > trailOpen; i++ {
		if t.steps[i].fd >= 0 {
			t.status(i + 1) // it may be asked for later
			unix.Close(t.steps[i].fd)
			t.steps[i].fd = -1
			t.open--
		}
	}
}

// reopenLast makes sure that the directory the trail is in is open: it walks
// down to it again when its descriptor was given up.
func (t *trail) reopenLast() error {
	if len(t.steps) == 0 || t.fd() >= 0 {
		return nil
	}
	again := t.path()
	t.cut(0)
	missing, err := t.enter(again)
	if err == nil && missing != "" {
		err = format.Errorf("%s vanished while it was in use", quotePath(t.prefix+again))
	}
	return err
}

// pushMade adds a directory that this run has just made.
func (t *trail) pushMade(name string, fd int, as attributes) {
	t.push(name, fd)
	t.steps[len(t.steps)-1].made = as.uid == 0 && as.mode&0o022 == 0
}

// isNew reports whether the trail is in a directory that this run has made and
// that only root can write to. It holds nothing but what this run made there:
// there is no need to look for an entry in it, because entries come in order
// and the directories above another entry are none.
func (t *trail) isNew() bool { return len(t.steps) > 0 && t.steps[len(t.steps)-1].made }

// path returns where the trail is, "" for the base.
func (t *trail) path() string {
	var b strings.Builder
	for i := range t.steps {
		b.WriteByte('/')
		b.WriteString(t.steps[i].name)
	}
	return b.String()
}

// status describes the directory at the given depth, 0 being the base; false
// when the trail does not reach so deep or keeps it closed.
func (t *trail) status(depth int) (sys.Status, bool) {
	if depth > len(t.steps) {
		return sys.Status{}, false
	}
	s := &t.top
	if depth > 0 {
		s = &t.steps[depth-1]
	} else {
		s.fd = t.base
	}
	if !s.known && s.fd >= 0 {
		status, err := sys.Stat(s.fd)
		if err != nil {
			return sys.Status{}, false
		}
		s.status, s.known = status, true
	}
	return s.status, s.known
}

// note returns what a directory at the given depth is to become, if it waits
// for an owner.
func (t *trail) note(depth int) string {
	status, found := t.status(depth)
	if !found || depth == 0 || !mayWait(&status) || t.steps[depth-1].fd < 0 {
		return ""
	}
	// Without the note the worst case is a directory that stays root's.
	note, _ := readPending(t.steps[depth-1].fd)
	return note
}

// forget drops what the trail holds of path and below: something was mounted
// there.
func (t *trail) forget(path string) {
	rest := strings.TrimPrefix(path, "/")
	for i := range t.steps {
		name, next, more := strings.Cut(rest, "/")
		if name != t.steps[i].name {
			return
		}
		if !more {
			t.cut(i)
			return
		}
		rest = next
	}
}

// graft lets a dry run walk into the source of an entry where its mount would
// be. A negative fd stands for a source that is not there yet.
func (t *trail) graft(path string, fd int) {
	if t.grafts == nil {
		t.grafts = make(map[string]int)
	}
	if fd >= 0 {
		again, err := sys.ReopenDirectory(fd, unix.O_PATH)
		if err != nil {
			again = absent
		}
		fd = again
	}
	t.grafts[path] = fd
	t.forget(path)
}
