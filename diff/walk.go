package diff

import (
	"errors"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// walker puts a tree that is walked into a [Tree], several directories at once.
type walker struct {
	*scan
	mount uint64 // the mount that is not left

	lock    sync.Mutex // of all below, and of the tree
	wake    *sync.Cond
	pending []pendingDirectory // the last is the next: few are open at a time
	busy    int
}

// pendingDirectory is a directory that is to be read: a name in an open one.
type pendingDirectory struct {
	in   *openDirectory
	name string
	node uint32

	since int64
}

// openDirectory is closed when all that is in it has been opened.
type openDirectory struct {
	fd    int
	users atomic.Int32
}

func (d *openDirectory) release() {
	if d.users.Add(-1) == 0 {
		unix.Close(d.fd)
	}
}

// walk reads everything below a directory at a node, without leaving the mount
// that it is on.
func (s *scan) walk(dirFd int, root uint32) error {
	fd, err := sys.OpenBeneath(dirFd, ".", unix.O_RDONLY)
	if err != nil {
		return err
	}
	status, err := sys.Stat(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	w := &walker{scan: s, mount: status.MountID}
	w.wake = sync.NewCond(&w.lock)
	w.read(&reading{directory: &openDirectory{fd: fd}, node: root, since: s.since})
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(w.work)
	}
	group.Wait()
	return nil
}

// work reads directories until there are none.
func (w *walker) work() {
	w.lock.Lock()
	defer w.lock.Unlock()
	for {
		for len(w.pending) == 0 {
			if w.busy == 0 {
				w.wake.Broadcast()
				return
			}
			w.wake.Wait()
		}
		last := len(w.pending) - 1
		next := w.pending[last]
		w.pending = w.pending[:last]
		w.busy++
		w.lock.Unlock()
		w.enter(next)
		w.lock.Lock()
		w.busy--
	}
}

// enter opens a directory and reads it.
func (w *walker) enter(p pendingDirectory) {
	fd, err := sys.OpenComponent(p.in.fd, p.name, unix.O_RDONLY|unix.O_DIRECTORY)
	p.in.release()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.fail(p.node, err)
		}
		return
	}
	d := &openDirectory{fd: fd}
	if status, err := sys.Stat(fd); err != nil || status.MountID != w.mount {
		unix.Close(fd)
		return // mounted meanwhile
	}
	w.read(&reading{directory: d, node: p.node, since: p.since})
}

func (w *walker) fail(node uint32, err error) {
	const most = 8
	w.lock.Lock()
	defer w.lock.Unlock()
	if len(w.tree.Failures) < most {
		w.tree.Failures = append(w.tree.Failures, format.Errorf("%q: %w", w.tree.path(node), err))
	}
}

// reading is a directory that is being read.
type reading struct {
	directory *openDirectory
	node      uint32
	since     int64 // what has not changed since then is left out; below a directory that was renamed nothing is
	found     []found
}

// found is a name that goes into the tree.
type found struct {
	name  string
	n     node
	enter bool
}

// read reads a directory and adds what is in it to the tree.
func (w *walker) read(r *reading) {
	r.directory.users.Store(1)
	defer r.directory.release()
	buffer := make([]byte, 16<<10)
	for {
		size, err := unix.Getdents(r.directory.fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			w.fail(r.node, format.Errorf("getdents: %w", err))
		}
		if err != nil || size <= 0 {
			return
		}
		names := make([]string, 0, 64)
		_, _, names = unix.ParseDirent(buffer[:size], -1, names)
		r.found = r.found[:0]
		for _, name := range names {
			w.look(r, name)
		}
		w.take(r)
	}
}

// look describes one name.
func (w *walker) look(r *reading, name string) {
	var st unix.Statx_t
	err := sys.Retry(func() error {
		return unix.Statx(r.directory.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT,
			unix.STATX_BASIC_STATS|unix.STATX_BTIME|unix.STATX_MNT_ID, &st)
	})
	if err != nil || st.Mnt_id != w.mount {
		return // gone meanwhile, or something is mounted there
	}
	n := node{
		size: min(st.Size, st.Blocks*512), inode: st.Ino, time: stamp(st.Mtime),
		parent: r.node, uid: st.Uid, mode: st.Mode,
	}
	directory := n.isDirectory()
	if n.isDirectory() {
		n.size = 0
	}
	changed := stamp(st.Ctime) >= r.since
	switch {
	case directory && !changed:
	case directory && (st.Mask&unix.STATX_BTIME == 0 || stamp(st.Btime) >= r.since):
		n.flags |= flagNew
	case directory:
		n.flags |= flagMoved // perhaps: that changes the time, among others
	case !changed:
		return
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		n.size = st.Size
		if target, err := sys.ReadSymlink(r.directory.fd, name); err == nil && isStoreLink(target) {
			n.flags |= flagStore
		}
	}
	if st.Nlink > 1 && !directory {
		n.flags |= flagLinked
	}
	r.found = append(r.found, found{name, n, directory})
}

func stamp(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// take adds what was found to the tree.
func (w *walker) take(r *reading) {
	w.lock.Lock()
	defer w.lock.Unlock()
	for _, f := range r.found {
		i := w.tree.add()
		n := w.tree.at(i)
		*n = f.n
		n.part = w.part
		w.tree.setName(n, []byte(strings.Clone(f.name)))
		since := r.since
		if n.flags&flagMoved != 0 {
			if path, known := w.noted[n.inode]; known && path != hash(w.tree.path(i)) {
				since = math.MinInt64
			} else {
				n.flags &^= flagMoved
			}
		}
		if f.enter {
			r.directory.users.Add(1)
			w.pending = append(w.pending, pendingDirectory{r.directory, f.name, i, since})
		}
	}
	w.wake.Broadcast()
}
