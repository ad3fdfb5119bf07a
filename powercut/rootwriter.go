package powercut

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Files that are fsynced in a root: one is written over, one is replaced.
const (
	overwrittenFile = "overwritten"
	replacedFile    = "replaced"
)

// writeInRoots fsyncs in the live root as soon as that is whole, and in the
// next one when that is. No program does so while its root is rolled back, but
// the log of the file system can hold what one did just before.
func (l *load) writeInRoots() {
	for generation := range l.wholes {
		if err := l.writeInRoot(generation); err != nil {
			l.fail(fmt.Errorf("writer in the root of generation %d: %w", generation, err))
		}
	}
}

// writeInRoot works by a descriptor of the root, so that it stays in it where
// the root is moved to, until the root is sealed.
func (l *load) writeInRoot(generation int) error {
	root, err := openDirectory(l.machine.top("@"))
	if err != nil {
		return err
	}
	defer unix.Close(root)
	dir := fmt.Sprintf("/proc/self/fd/%d", root)
	for !l.stop.Load() {
		count := l.machine.rootWrites[generation] + 1
		err := overwriteFile(filepath.Join(dir, overwrittenFile), count)
		if err == nil {
			err = replaceFile(filepath.Join(dir, replacedFile), count, l.machine.syncDirectory)
		}
		if errors.Is(err, unix.EROFS) {
			return nil
		}
		if err != nil {
			return err
		}
		l.machine.rootWrites[generation] = count
		l.machine.disk.mark(Event{What: RootWriteDone, Generation: generation, Count: count})
		time.Sleep(time.Millisecond)
	}
	return nil
}

// checkFsynced demands what was fsynced in a root in the place that it is in
// now.
func (k *Knowledge) checkFsynced(p *place) error {
	count := k.RootWrites[p.generation]
	if p.member != "root" || count == 0 {
		return nil
	}
	if err := checkOverwritten(filepath.Join(p.path, overwrittenFile), count, slots); err != nil {
		return err
	}
	return checkReplaced(filepath.Join(p.path, replacedFile), count)
}
