package keep

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// prepare fills in what the result knows of its path, and reports whether it
// is to be kept. If not, the state says why.
func (m *Machine) prepare(r *Result) bool {
	if !path.IsAbs(r.Path) || path.Clean(r.Path) != r.Path || r.Path == "/" {
		r.end(Refused, "the path has to be absolute and clean, and not all of the root")
		return false
	}
	by, reason := config.KeptBy(m.Root.Stores, r.Store, &config.Entry{Path: r.Path, Directory: true})
	switch {
	case reason != "":
		r.end(Refused, reason)
		return false
	case by != nil:
		r.How, r.Directory = by.How, by.Directory
		r.end(Already, "the entry "+by.Path+" keeps it")
		return false
	}
	status, err := m.look(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		// What only the store has comes into place as it is.
		if inStore, storeErr := m.look(r.Source); storeErr == nil {
			status, err = inStore, nil
		}
	}
	if err != nil {
		r.end(Refused, err.Error())
		return false
	}
	r.entry = m.entryFor(r, &status)
	r.How, r.Directory = r.entry.How, r.entry.Directory
	if err := m.guard(&status, r); err != nil {
		r.end(Refused, err.Error())
		return false
	}
	return true
}

// open opens what is at a path, which no link leads to, with O_PATH.
func (m *Machine) open(p string) (int, error) {
	return sys.OpenBeneath(m.Root.Fd, strings.TrimPrefix(p, "/"), unix.O_PATH)
}

// look says what is at a path, which no link leads to. What is copied later is
// opened anew, and has to be of the same kind.
func (m *Machine) look(p string) (sys.Status, error) {
	fd, err := m.open(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return sys.Status{}, format.Errorf("it is not there: %w", err)
		}
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return sys.Status{}, errors.New("a link, or something else that is no directory, is on the way: name the path without links")
		}
		return sys.Status{}, err
	}
	defer unix.Close(fd)
	status, err := sys.Stat(fd)
	if err == nil && !status.IsDirectory() && !status.IsRegular() {
		err = format.Errorf("it is a %s of uid %d; directories and regular files can be kept", status.TypeName(), status.UID)
	}
	return status, err
}

// guard refuses what a boot would not bring back, or what would be hidden.
func (m *Machine) guard(status *sys.Status, r *Result) error {
	// What is written into the list has to be what the next boot takes.
	text, err := encodeList([]config.Entry{r.entry})
	if err != nil {
		return err
	}
	again, problems := config.ParseKept(text, r.Store)
	switch {
	case len(problems) > 0:
		return errors.New(problems[0].Reason)
	case again[0].Path != r.Path:
		return errors.New("its name is not UTF-8, which the list cannot hold: keep the directory that it lies in")
	}
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return err
	}
	if err := m.guardMount(status, r, table); err != nil {
		return err
	}
	for i := range table {
		if within(table[i].MountPoint, m.seen(r.Path)) {
			return format.Errorf("%s is mounted in it, and would be hidden: keep what is beside that", table[i].MountPoint)
		}
	}
	return nil
}

// guardMount refuses what lies on a file system of its own.
func (m *Machine) guardMount(status *sys.Status, r *Result, table []mounts.MountInfo) error {
	root, err := sys.Stat(m.Root.Fd)
	if err != nil || root.MountID == status.MountID {
		return err
	}
	store, err := m.look(r.Store)
	if err == nil && store.MountID == status.MountID { // there is nothing yet but in the store
		return nil
	}
	for i := range table {
		t := &table[i]
		if t.ID != status.MountID {
			continue
		}
		for _, dir := range m.Ephemeral {
			if t.MountPoint == m.seen(dir) {
				return nil
			}
		}
		return format.Errorf("it is on another file system, %s on %s: a boot does not make that fresh, or it comes after the entries", t.Type, t.MountPoint)
	}
	return format.Errorf("mount %d, which %s lies on, is not in mountinfo", status.MountID, r.Path)
}

// seen is a path of the root as this process sees it.
func (m *Machine) seen(p string) string { return strings.TrimSuffix(m.Root.Dir, "/") + p }
