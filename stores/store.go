// Package stores knows what lies in a store and is declared nowhere, since
// when, and puts it into the store's trash and back.
//
//	/persist/.ebb/ledger             which entries were declared, and when
//	/persist/.ebb/trash/2026-11-23/  what was put into the trash that day, with
//	                                 the paths that it had in the store
package stores

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// Names in a store.
const (
	ownName    = ".ebb" // root's alone
	ledgerName = "ledger"
	keptName   = "kept.json"
	trashName  = "trash"
)

// Store is an open store.
type Store struct {
	Path string // as this process sees it
	// Now is the time; Doubt is why it is not believed, see roots.Clock.
	Now   time.Time
	Doubt string

	fd, own  int                // own: its .ebb, -1 when there is none
	entries  []string           // absolute in the store: "/var/lib/x"
	declared map[string]bool    // these, and what is ignored
	above    map[string]bool    // the directories on the way to them
	table    []mounts.MountInfo // of this process
	ledger   ledger
}

// Open opens a store of the root dir with the entries that are declared in it.
// Ignored are absolute paths of the root, in the store or not, that are nobody's
// business but the user's.
func Open(dir string, declared *config.Store, ignored []string) (*Store, error) {
	s := &Store{Path: path.Join(dir, declared.Path), own: -1, declared: map[string]bool{}, above: map[string]bool{}}
	var err error
	if s.fd, err = sys.OpenDirectory(s.Path); err != nil {
		return nil, err
	}
	for _, e := range declared.Entries {
		s.entries = append(s.entries, e.Path)
	}
	s.table, err = mounts.ReadMountInfo()
	for _, read := range []func() error{s.openOwn, s.readKept, s.readLedger} {
		if err == nil {
			err = read()
		}
	}
	if err != nil {
		s.Close()
		return nil, format.Errorf("store %q: %w", s.Path, err)
	}
	for _, p := range ignored {
		if rel, inside := strings.CutPrefix(path.Clean(p), declared.Path+"/"); inside {
			s.declare("/" + rel)
		}
	}
	for _, p := range append(s.entries, "/"+ownName, "/lost+found") {
		s.declare(p)
	}
	return s, nil
}

func (s *Store) declare(p string) {
	s.declared[p] = true
	for p = path.Dir(p); p != "/"; p = path.Dir(p) {
		s.above[p] = true
	}
}

// openOwn opens the directory of ebb's own, if it is there and nobody else's.
func (s *Store) openOwn() (err error) {
	s.own, err = sys.OpenComponent(s.fd, ownName, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	status, err := sys.Stat(s.own)
	if err == nil && status.UID != 0 {
		err = format.Errorf("%s belongs to user %d: nobody but root may own it", ownName, status.UID)
	}
	return err
}

// readKept reads what was put into the store live and is not in the config yet:
// it is in use, and so as good as declared.
func (s *Store) readKept() error {
	type entry struct {
		Path string `json:"path"`
	}
	var kept struct {
		Directories []entry `json:"directories"`
		Files       []entry `json:"files"`
	}
	if s.own < 0 {
		return nil
	}
	data, err := sys.ReadFile(s.own, keptName, config.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = jsontext.Unmarshal(data, &kept)
	}
	if err != nil {
		return format.Errorf("what was kept is not known: %s: %w", keptName, err)
	}
	for _, e := range append(kept.Directories, kept.Files...) {
		if path.IsAbs(e.Path) && path.Clean(e.Path) == e.Path {
			s.entries = append(s.entries, e.Path)
		}
	}
	return nil
}

// makeOwn makes the directory of ebb's own where there is none.
func (s *Store) makeOwn() error {
	if s.own >= 0 {
		return nil
	}
	if err := makeDirectory(s.fd, ownName, 0o700); err != nil {
		return err
	}
	return s.openOwn()
}

// makeDirectory makes a directory unless something of that name is there.
func makeDirectory(dirFd int, name string, mode uint32) error {
	err := sys.MakeDirectory(dirFd, name, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Close closes the store.
func (s *Store) Close() {
	unix.Close(s.fd)
	if s.own >= 0 {
		unix.Close(s.own)
	}
}

// Mounted says where a path of the store, or something in it, is mounted:
// itself, by an entry that was declared when this machine was booted, or what
// lies on top of it. It is empty where nothing is.
func (s *Store) Mounted(rel string) string {
	at := s.Path + rel
	var source string // of at, on its file system
	var below mounts.MountInfo
	for _, m := range s.table {
		if isBelow(m.MountPoint, at) {
			return m.MountPoint
		}
		if isBelow(at, m.MountPoint) && len(m.MountPoint) >= len(below.MountPoint) {
			below, source = m, path.Join(m.Root, strings.TrimPrefix(at, m.MountPoint))
		}
	}
	for _, m := range s.table {
		if m.Major == below.Major && m.Minor == below.Minor && isBelow(m.Root, source) {
			return m.MountPoint
		}
	}
	return ""
}

// isBelow reports whether a clean path is another one or lies below it.
func isBelow(p, above string) bool {
	return p == above || above == "/" || strings.HasPrefix(p, above+"/")
}
