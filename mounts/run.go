package mounts

import (
	"errors"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// run is one pass over the entries of a root.
type run struct {
	root    *Root
	dry     bool
	oldMask int
	target  trail
	stores  map[string]*store
	names   names
	table   mountTable
	legacy  bool            // this kernel has no open_tree(2) or mount_setattr(2)
	planned map[string]bool // directories that a dry run has announced
	marks   []mark          // for utab
	notes   []string
	old     oldRoots
	path    *string     // see rootPath
	givenUp atomic.Bool // nobody waits for this run any more: it is not to change anything
}

// store is a store's directory, open.
type store struct {
	fd    int
	err   error // why it could not be opened
	trail trail
}

func newRun(r *Root, dry bool) *run {
	u := &run{root: r, dry: dry, legacy: r.NoAPI, stores: make(map[string]*store, len(r.Stores))}
	// The modes given to mkdirat(2) are meant as they are.
	u.oldMask = unix.Umask(0)
	u.target.base = r.Fd
	for i := range r.Stores {
		s := u.openStore(&r.Stores[i])
		u.stores[r.Stores[i].Path] = s
	}
	u.names.read = u.readNames
	if dry {
		u.planned = map[string]bool{}
	}
	return u
}

// lock takes the lock for a run that changes something. Without it the worst
// case is that of two that copy one file at once one fails.
func (u *run) lock() (unlock func()) {
	if u.dry || u.root.Lock == nil {
		return func() {}
	}
	unlock, err := u.root.Lock()
	if err != nil {
		u.note("going on without a lock: " + err.Error())
		return func() {}
	}
	return unlock
}

func (u *run) close() {
	u.target.close()
	for _, s := range u.stores {
		s.trail.close()
		if s.err == nil {
			unix.Close(s.fd)
		}
	}
	u.old.close()
	unix.Umask(u.oldMask)
}

// openStore opens the directory of a store below the root, by real
// directories only.
func (u *run) openStore(s *config.Store) *store {
	path := s.Path
	fd, err := sys.OpenBeneath(u.root.Fd, strings.TrimPrefix(path, "/"), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return &store{fd: -1, err: format.Errorf("open store %s: %w", path, err)}
	}
	if err := u.checkLasting(s, fd); err != nil {
		unix.Close(fd)
		return &store{fd: -1, err: format.Errorf("store %s: %w", path, err)}
	}
	return &store{fd: fd, trail: trail{base: fd, prefix: path, lasting: true}}
}

// errNotMounted is the error of a store that would be lost with the root.
var errNotMounted = errors.New("is not mounted: it is a directory of the root, where nothing is kept")

// checkLasting refuses a store on the mount of the root, where that is fresh at
// each boot, or the config says that the store has a mount of its own. Kernels
// that do not tell mounts apart get away with it.
func (u *run) checkLasting(s *config.Store, store int) error {
	if !u.root.Fresh && !s.Mounted {
		return nil
	}
	own, err := sys.Stat(store)
	if err != nil {
		return err
	}
	root, err := sys.Stat(u.root.Fd)
	if err != nil {
		return err
	}
	if own.MountID == root.MountID && own.MountID != 0 {
		return errNotMounted
	}
	return nil
}

func (u *run) readNames() (users, groups map[string]uint32) {
	var stores []int
	for i := range u.root.Stores {
		if s := u.stores[u.root.Stores[i].Path]; s.err == nil {
			stores = append(stores, s.fd)
		}
	}
	return readNames(stores, u.readRoot)
}

// readRoot reads a file of the root, nil when that is not possible. A link is
// not followed in a root that nobody runs on yet: it may have been left there
// by anybody. In the running system /etc is root's, and /etc/passwd is a link
// on systems that make it elsewhere.
func (u *run) readRoot(rel string) []byte {
	data := readBeneath(u.root.Fd, rel)
	if data == nil && u.root.Dir == "/" {
		data, _ = sys.ReadPath("/"+rel, namesLimit)
	}
	return data
}

func (u *run) note(text string) { u.notes = append(u.notes, text) }

// placing is one entry on its way into place. A run uses the same for all.
type placing struct {
	run    *run
	item   Item
	result *EntryResult
	source side
	target side
	left   uint64 // the archived root that has data which was not adopted
}

// side is the source or the target of an entry.
type side struct {
	trail   *trail
	dir     string // the directory it lies in, below the base of the trail
	name    string
	missing string     // the part of dir that is not there
	fd      int        // what is there, if opened
	status  sys.Status // of fd
	opened  bool       // there is something, and fd is to be closed
}

func (s *side) close() {
	if s.opened {
		unix.Close(s.fd)
		s.opened = false
	}
}

// set makes fd the descriptor of this side.
func (s *side) set(fd int, status sys.Status) {
	s.close()
	s.fd, s.status, s.opened = fd, status, true
}

// path returns the whole path of this side, as seen from the root.
func (s *side) path() string { return s.trail.prefix + join(s.dir, s.name) }

func join(dir, name string) string {
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}

func splitPath(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 1)], path[i+1:]
}

// enter takes the trail of this side to the directory of path.
func (s *side) enter(t *trail, path string) (err error) {
	s.close()
	s.trail, s.fd = t, -1
	s.dir, s.name = splitPath(path)
	s.missing, err = t.enter(s.dir)
	return err
}

// look enters and opens what is there, if anything.
func (s *side) look(t *trail, e *config.Entry) error {
	if err := s.enter(t, e.Path); err != nil || s.missing != "" || t.isNew() {
		return err
	}
	fd, status, err := openEntry(t.fd(), s.name, t.prefix+e.Path, e.Directory)
	switch {
	case err == nil:
		s.set(fd, status)
	case !isMissing(err):
		return err
	}
	return nil
}

func (s *side) exists() bool { return s.opened }

// lookAtSource opens the source of the entry, if there is one.
func (p *placing) lookAtSource() error {
	s := p.run.stores[p.item.Store.Path]
	if s.err != nil {
		return s.err
	}
	return p.source.look(&s.trail, p.item.Entry)
}

// act announces a step and takes it, or only notes it when this is a dry run.
// Every change that a run makes is made in here.
func (p *placing) act(s Step, do func() error) error {
	if p.run.dry {
		p.result.Steps = append(p.result.Steps, s.String())
		return nil
	}
	if p.run.givenUp.Load() {
		return errNoAnswer
	}
	if p.run.root.Observe != nil {
		p.run.root.Observe(s)
	}
	return do()
}

// place brings the entry into place.
func (p *placing) place() error {
	if err := p.lookAtSource(); err != nil {
		return err
	}
	switch p.item.Entry.How {
	case config.Symlink:
		return p.link()
	case config.Sync:
		return p.copyIn()
	}
	return p.bind()
}

// rootPath is the path of the root in mountinfo, "" for "/" itself.
func (u *run) rootPath() string {
	if u.path == nil {
		path, err := sys.PathOf(u.root.Fd)
		if err != nil {
			path = u.root.Dir
		}
		path = strings.TrimSuffix(path, "/")
		u.path = &path
	}
	return *u.path
}
