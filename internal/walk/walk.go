// Package walk goes over a tree of files by descriptors. Whoever owns a part of
// the tree may change it meanwhile: no link is followed, no mount is entered,
// and a directory that is moved away takes nothing else of the walk with it.
package walk

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// mostFailures bounds how many errors are told.
const mostFailures = 8

// Walk is a walk on its way, in one directory.
type Walk struct {
	// Visit is called with each name in each directory that is entered, in no
	// particular order but parents before what is in them. Kind is the type as
	// in readdir(3) (unix.DT_DIR, ...). Only a directory can be entered; mark
	// is then what Mark returns in it.
	Visit func(w *Walk, name string, kind uint8) (enter bool, mark uint64, err error)
	// Leave, if there is one, is called when all in a directory has been visited
	// and the walk is back in the one above, which has it as name.
	Leave func(w *Walk, name string) error

	top, fd  int // the directory that was given, and the present one
	mount    uint64
	frames   []frame
	failures []error
	entries  []byte
}

// frame is a directory on the way.
type frame struct {
	directory
	status sys.Status
	below  []directory // to be entered
}

type directory struct {
	name string
	mark uint64
}

// Tree walks everything below the directory dirFd, which stays open. What
// cannot be read is left out and is in the error, in part; an error of Visit
// ends the walk. In the top itself Mark returns mark.
func (w *Walk) Tree(dirFd int, mark uint64) error {
	fd, err := sys.ReopenDirectory(dirFd, unix.O_RDONLY)
	if err != nil {
		return err
	}
	w.top, w.fd, w.frames, w.failures = dirFd, fd, nil, nil
	if w.entries == nil {
		w.entries = make([]byte, 32<<10)
	}
	defer func() { unix.Close(w.fd) }()
	status, err := sys.Stat(fd)
	if err != nil {
		return err
	}
	w.mount = status.MountID
	w.frames = append(w.frames, frame{directory: directory{mark: mark}, status: status})
	if err := w.read(); err != nil {
		return err
	}
	for len(w.frames) > 0 {
		if err := w.next(); err != nil {
			return err
		}
	}
	return errors.Join(w.failures...)
}

// next enters one directory, or leaves the one that nothing is left of.
func (w *Walk) next() error {
	top := &w.frames[len(w.frames)-1]
	if len(top.below) == 0 {
		w.frames = w.frames[:len(w.frames)-1]
		if len(w.frames) == 0 || !w.up() || w.Leave == nil {
			return nil
		}
		return w.Leave(w, top.name)
	}
	below := top.below[len(top.below)-1]
	top.below = top.below[:len(top.below)-1]
	fd, status, err := w.open(below.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since it was listed
	}
	if err != nil {
		w.fail(below.name, err)
		return nil
	}
	if status.MountID != w.mount {
		unix.Close(fd)
		return nil
	}
	unix.Close(w.fd)
	w.fd = fd
	w.frames = append(w.frames, frame{directory: below, status: status})
	return w.read()
}

// open opens a directory to be entered.
func (w *Walk) open(name string) (fd int, status sys.Status, err error) {
	fd, err = sys.OpenComponent(w.fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fd, status, err
	}
	if status, err = sys.Stat(fd); err != nil {
		unix.Close(fd)
	}
	return fd, status, err
}

// read visits the names in the directory that was entered.
func (w *Walk) read() error {
	for {
		n, err := unix.Getdents(w.fd, w.entries)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			w.fail("", format.Errorf("getdents: %w", err))
			return nil
		}
		if n <= 0 {
			return nil
		}
		for rest := w.entries[:n]; len(rest) > 0; {
			var name string
			var kind uint8
			name, kind, rest = parseEntry(rest)
			if err := w.visit(name, kind); err != nil {
				return err
			}
		}
	}
}

func (w *Walk) visit(name string, kind uint8) error {
	if name == "" {
		return nil
	}
	if kind == unix.DT_UNKNOWN { // some file systems do not tell, readdir(3)
		if status, err := w.Stat(name); err == nil {
			kind = uint8(status.Type() >> 12)
		}
	}
	enter, mark, err := w.Visit(w, name, kind)
	if enter && kind == unix.DT_DIR {
		top := &w.frames[len(w.frames)-1]
		top.below = append(top.below, directory{name, mark})
	}
	return err
}

// parseEntry takes one struct linux_dirent64 (getdents64(2)) off data. The name
// is empty where there is none to be visited.
func parseEntry(data []byte) (name string, kind uint8, rest []byte) {
	const header = 19 // u64 inode, s64 offset, u16 length, u8 type
	if len(data) < header {
		return "", 0, nil
	}
	length := int(data[16]) | int(data[17])<<8
	if length < header || length > len(data) {
		return "", 0, nil
	}
	name, _, _ = strings.Cut(string(data[header:length]), "\x00")
	if name == "." || name == ".." {
		name = ""
	}
	return name, data[18], data[length:]
}

// up goes back to the directory on top of frames. Where ".." is not that one,
// because a directory was moved, its name is tried; a walk that has lost its
// way leaves out what is left of the directory, and is in none.
func (w *Walk) up() bool {
	top := &w.frames[len(w.frames)-1]
	fd, err := sys.OpenParent(w.fd)
	if err = verify(fd, err, &top.status); err != nil {
		fd, err = sys.OpenBeneath(w.top, path.Clean(w.Path("")), unix.O_RDONLY|unix.O_DIRECTORY)
		err = verify(fd, err, &top.status)
	}
	if err != nil {
		top.below = nil
		w.fail("", err)
		return false
	}
	unix.Close(w.fd)
	w.fd = fd
	return true
}

// verify makes sure that a directory that was opened is the one that is known,
// and closes any other.
func verify(fd int, err error, want *sys.Status) error {
	if err != nil {
		return err
	}
	status, err := sys.Stat(fd)
	if err == nil && !status.SameInode(want) {
		err = errors.New("it was moved meanwhile")
	}
	if err != nil {
		unix.Close(fd)
	}
	return err
}

func (w *Walk) fail(name string, err error) {
	if len(w.failures) < mostFailures {
		w.failures = append(w.failures, format.Errorf("%q: %w", w.Path(name), err))
	}
}

// Path is where a name in the present directory is, below the top: "a/b". That
// of the directory itself is Path("").
func (w *Walk) Path(name string) string {
	parts := make([]string, 0, len(w.frames))
	for _, f := range w.frames[1:] {
		parts = append(parts, f.name)
	}
	if name != "" {
		parts = append(parts, name)
	}
	return strings.Join(parts, "/")
}

// Depth is how many directories the present one is below the top.
func (w *Walk) Depth() int { return len(w.frames) - 1 }

// Stat describes a name in the present directory.
func (w *Walk) Stat(name string) (sys.Status, error) { return sys.StatComponent(w.fd, name) }

// Mark is what Visit has marked the present directory with.
func (w *Walk) Mark() uint64 { return w.frames[len(w.frames)-1].mark }

// Fd is the present directory.
func (w *Walk) Fd() int { return w.fd }
