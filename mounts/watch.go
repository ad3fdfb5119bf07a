package mounts

import (
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Waits of Watch.
const (
	watchSettle  = time.Second // from a change to its being copied, so that bursts count once
	watchRetry   = time.Second // until a file that was not settled is looked at again
	watchRearm   = time.Second // until a directory that is not there is looked for again; doubles each time
	watchLongest = time.Minute // to this
)

// watchMask is what may change a file for whoever opens it by name next, or
// the directory itself. inotify(7).
const watchMask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB |
	unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// Watch copies targets of sync entries back whenever they change, until there
// is something to be read from the descriptor stop (-1: until the process is
// killed, which is safe at any time). report gets the result of each round of
// copying. The error is one of the watching as such.
func (r *Root) Watch(stop int, report func(Report)) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return format.Errorf("inotify_init: %w", err)
	}
	w := &watcher{
		root: r, fd: fd, stop: stop, report: report,
		directories: map[string]*watched{}, byWatch: map[int32]string{}, due: map[string]time.Time{},
	}
	defer unix.Close(fd)
	r.Patience = min(r.Patience, leastPatience)
	for i := range r.Stores {
		for j := range r.Stores[i].Entries {
			w.add(&r.Stores[i].Entries[j])
		}
	}
	return w.loop()
}

// watcher is one Watch on its way.
type watcher struct {
	root        *Root
	fd          int // of inotify
	stop        int
	report      func(Report)
	directories map[string]*watched
	byWatch     map[int32]string     // watch descriptor to directory
	due         map[string]time.Time // when to copy what back
}

// watched is a directory with targets in it.
type watched struct {
	paths map[string]string // names to paths
	armed bool
	again time.Time // when to look for the directory again
	wait  time.Duration
	look  *look // one that has not come to an end
}

// look is one at a directory, by a task.
type look struct {
	task  task
	watch int32
	err   error
}

func (w *watcher) add(e *config.Entry) {
	if e.How != config.Sync {
		return
	}
	dir, name := splitPath(e.Path)
	if w.directories[dir] == nil {
		w.directories[dir] = &watched{paths: map[string]string{}}
	}
	w.directories[dir].paths[name] = e.Path
}

func (w *watcher) loop() error {
	buf := make([]byte, 64<<10)
	for {
		w.arm()
		w.copyDue()
		// poll(2) passes over a descriptor that is negative.
		ready := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(w.stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, w.patience()); err != nil && !errors.Is(err, unix.EINTR) {
			return format.Errorf("poll inotify: %w", err)
		}
		if ready[1].Revents != 0 {
			return nil
		}
		n, err := unix.Read(w.fd, buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return format.Errorf("read inotify: %w", err)
		}
		w.take(buf[:max(n, 0)])
	}
}

// patience is how long to wait for an event before there is something else to
// do, in milliseconds, rounded up; -1 is for ever.
func (w *watcher) patience() int {
	at := w.next()
	if at.IsZero() {
		return -1
	}
	return int(max(time.Until(at), 0)/time.Millisecond) + 1
}

// next is when there is something to do without an event; the zero time when
// there is not.
func (w *watcher) next() (at time.Time) {
	earlier := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, t := range w.due {
		earlier(t)
	}
	for _, d := range w.directories {
		if !d.armed {
			earlier(d.again)
		}
	}
	return at
}

// arm watches the directories that are not watched yet. What changed before is
// found by looking at everything in them.
func (w *watcher) arm() {
	now := time.Now()
	for dir, d := range w.directories {
		if d.armed || now.Before(d.again) {
			continue
		}
		watch, err := w.watchPatiently(dir, d)
		if err != nil {
			d.wait = min(max(2*d.wait, watchRearm), watchLongest)
			d.again = now.Add(d.wait)
			continue
		}
		d.armed, d.wait = true, 0
		w.byWatch[watch] = dir
		w.touch(d)
	}
}

// watchPatiently lets the others be watched when the file system of a directory does
// not answer. When it does in the end, the next look finds that.
func (w *watcher) watchPatiently(dir string, d *watched) (int32, error) {
	var patience time.Duration
	if d.look == nil {
		patience = leastPatience
		d.look = &look{}
		one := d.look
		one.task.begin(func() { one.watch, one.err = w.watch(dir) })
	}
	if !d.look.task.wait(patience) {
		return 0, errNoAnswer
	}
	one := d.look
	d.look = nil
	return one.watch, one.err
}

// watch walks to the directory as every run does, and watches the inode that
// it finds.
func (w *watcher) watch(dir string) (int32, error) {
	t := trail{base: w.root.Fd}
	defer t.close()
	missing, err := t.enter(dir)
	if err != nil {
		return 0, err
	}
	if missing != "" {
		return 0, unix.ENOENT
	}
	watch, err := unix.InotifyAddWatch(w.fd, sys.DescriptorPath(t.fd()), watchMask)
	return int32(watch), err
}

// touch makes every target in the directory due.
func (w *watcher) touch(d *watched) {
	for _, path := range d.paths {
		w.touchPath(path)
	}
}

// touchPath makes a target due, unless it is already: one that changes all the
// time is copied all the same.
func (w *watcher) touchPath(path string) {
	if _, found := w.due[path]; !found {
		w.due[path] = time.Now().Add(watchSettle)
	}
}

// take reads events: struct inotify_event of inotify(7) is watch, mask, cookie
// and length, four bytes each in the order of the machine, and a name that is
// filled up with NULs to the length.
func (w *watcher) take(buf []byte) {
	const header = unix.SizeofInotifyEvent
	for len(buf) >= header {
		watch := int32(binary.NativeEndian.Uint32(buf))
		mask := binary.NativeEndian.Uint32(buf[4:])
		length := int(binary.NativeEndian.Uint32(buf[12:]))
		if length > len(buf)-header {
			return
		}
		w.event(watch, mask, unix.ByteSliceToString(buf[header:header+length]))
		buf = buf[header+length:]
	}
}

func (w *watcher) event(watch int32, mask uint32, name string) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		for _, d := range w.directories {
			w.touch(d)
		}
		return
	}
	dir, found := w.byWatch[watch]
	if !found {
		return
	}
	d := w.directories[dir]
	if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 {
		// It is gone from its place, and there may be another one already.
		unix.InotifyRmWatch(w.fd, uint32(watch))
		delete(w.byWatch, watch)
		d.armed, d.again = false, time.Time{}
		return
	}
	if path, isTarget := d.paths[name]; isTarget {
		w.touchPath(path)
	}
}

// failRetry is when a copy that failed is tried again, as in a full store.
const failRetry = time.Minute

// copyDue copies back what is due. What is not settled is due again soon, and
// what failed a while later.
func (w *watcher) copyDue() {
	now := time.Now()
	var paths []string
	for path, at := range w.due {
		if !at.After(now) {
			paths = append(paths, path)
			delete(w.due, path)
		}
	}
	if len(paths) == 0 {
		return
	}
	result := w.root.SyncBack(paths...)
	for i := range result.Entries {
		switch result.Entries[i].State {
		case Unsettled:
			w.due[result.Entries[i].Path] = now.Add(watchRetry)
		case Failed:
			w.due[result.Entries[i].Path] = now.Add(failRetry)
		}
	}
	w.report(result)
}
