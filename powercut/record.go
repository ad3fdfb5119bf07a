package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/mounts"
)

// record runs the scenario on the formatted disk. Its log then has all that was
// written, and what was known at each point.
func (m *machine) record() error {
	counts := make([]int, m.scenario.Writers)
	for boot := 1; boot <= m.scenario.Boots; boot++ {
		if err := m.recordBoot(boot, counts); err != nil {
			return fmt.Errorf("boot %d of the recording: %w", boot, err)
		}
	}
	return nil
}

func (m *machine) recordBoot(boot int, counts []int) error {
	if err := m.mountTop(); err != nil {
		return err
	}
	l := m.startLoad(counts)
	err := m.runBoot(boot)
	return errors.Join(err, l.end(), m.unmountTop())
}

func (m *machine) runBoot(boot int) error {
	m.disk.mark(Event{What: RollbackBegins})
	host, record, err := m.recordRollback()
	if err != nil {
		return err
	}
	m.disk.mark(Event{What: RollbackDone, Generation: boot - 1, Number: record.Sequence})
	if err := m.mountRoot(); err != nil {
		return err
	}
	err = m.useRoot(host, boot)
	if err := errors.Join(err, m.unmountRoot()); err != nil {
		return err
	}
	if m.scenario.Delete && boot%2 == 0 {
		return m.deleteArchived()
	}
	return nil
}

// recordRollback makes the rollback, with a commit between any two steps where
// the scenario asks for it.
func (m *machine) recordRollback() (*initrd.Host, *initrd.RollbackRecord, error) {
	if !m.scenario.Between {
		return m.rollback(&kmsg.Logger{})
	}
	stepped, err := newStepper(m.top())
	if err != nil {
		return nil, nil, err
	}
	host, record, err := m.rollback(stepped.logger)
	return host, record, errors.Join(err, stepped.close())
}

// stepper is a log whose reader commits the file system after every line. The
// pipe holds one line only: the next one waits, and with it the step that it
// announces, until the commit behind the step before is over.
type stepper struct {
	logger  *kmsg.Logger
	reader  *os.File
	written *os.File
	done    chan error
}

// stepTime is longer than any step takes, in all but the busiest hours; a step
// that takes longer only has its commit in it rather than behind it.
const stepTime = 3 * time.Millisecond

func newStepper(dir string) (*stepper, error) {
	var pipe [2]int
	// O_DIRECT: each write takes a buffer of its own, and there is one (pipe(2)).
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_DIRECT); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
		return nil, fmt.Errorf("set the size of the pipe: %w", err)
	}
	s := &stepper{
		reader: os.NewFile(uintptr(pipe[0]), "pipe"), written: os.NewFile(uintptr(pipe[1]), "pipe"),
		done: make(chan error, 1),
	}
	stderr := os.Stderr
	os.Stderr = s.written
	s.logger = kmsg.New(false)
	os.Stderr = stderr
	go func() { s.done <- commitBehindLines(pipe[0], dir) }()
	return s, nil
}

func commitBehindLines(fd int, dir string) error {
	line := make([]byte, os.Getpagesize())
	for {
		// The line stays in the pipe until the commit is over.
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if poll[0].Revents&unix.POLLIN != 0 {
			time.Sleep(stepTime)
			if err := commit(dir); err != nil {
				return err
			}
		}
		n, err := unix.Read(fd, line)
		if err != nil {
			return fmt.Errorf("read a line: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}

func (s *stepper) close() error {
	err := s.written.Close()
	return errors.Join(err, <-s.done, s.reader.Close())
}

// mountRoot mounts the fresh root and the store below it.
func (m *machine) mountRoot() error {
	if err := m.mount("subvol=@", m.root()); err != nil {
		return err
	}
	if err := os.MkdirAll(m.root("persist"), 0o755); err != nil {
		return err
	}
	return m.mount("subvol=@persist", m.root("persist"))
}

// unmountRoot unmounts the root and all that is mounted below it.
func (m *machine) unmountRoot() error {
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return err
	}
	for i := len(table) - 1; i >= 0; i-- {
		target := table[i].MountPoint
		if target != m.root() && filepath.Dir(target) != m.root() && !isBelow(target, m.root()) {
			continue
		}
		if unmountErr := unix.Unmount(target, 0); unmountErr != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", target, unmountErr))
		}
	}
	return err
}

func isBelow(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(relative)
}

// madeUID and madeGID own the directories that an entry makes new.
const (
	madeUID  = 1000
	madeGID  = 100
	madeMode = 0o750
)

func madeName(boot int) string { return fmt.Sprintf("made%d", boot) }

// entries are those of a boot: a directory that the root before has data in, a
// new one, and a file that is copied back.
func entries(boot int) []config.Entry {
	uid, gid, mode := uint32(madeUID), uint32(madeGID), uint32(madeMode)
	return []config.Entry{
		{Path: "/var/lib/" + applicationName(boot-1), Directory: true, How: config.Bind},
		{Path: "/var/" + madeName(boot), Directory: true, How: config.Bind, Owner: config.Owner{UID: &uid, GID: &gid}, Mode: &mode},
		{Path: "/" + syncedFile, How: config.Sync},
	}
}

// useRoot is a boot from the mounted root on: the entries, what programs write,
// and the file that is copied back.
func (m *machine) useRoot(host *initrd.Host, boot int) error {
	m.cfg.Stores = []config.Store{{Path: "/persist", Entries: entries(boot)}}
	root, err := host.EntryRoot(m.cfg, m.root())
	if err != nil {
		return err
	}
	defer unix.Close(root.Fd)
	root.Utab, root.Observe = "", m.observe()
	m.disk.mark(Event{What: EntriesBegin, Generation: boot - 1})
	if err := failedEntry(root.Mount()); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	m.disk.mark(Event{What: EntriesDone, Generation: boot - 1})
	if err := m.writeRoot(boot); err != nil {
		return err
	}
	m.disk.mark(Event{What: SyncBackBegins, Generation: boot})
	if err := os.WriteFile(m.root(syncedFile), syncedText(boot), 0o644); err != nil {
		return err
	}
	if err := failedEntry(root.SyncBack()); err != nil {
		return fmt.Errorf("sync back: %w", err)
	}
	m.disk.mark(Event{What: SyncBackDone, Generation: boot})
	return nil
}

// observe commits before each change, where the scenario asks for it.
func (m *machine) observe() func(mounts.Step) {
	if !m.scenario.Between {
		return nil
	}
	return func(mounts.Step) {
		// A commit that fails leaves the others to fail, which is seen.
		_ = commit(m.top())
	}
}

func failedEntry(report mounts.Report) error {
	for _, e := range report.Entries {
		if !e.OK() {
			return fmt.Errorf("%s: %s", e.Path, e.Reason)
		}
	}
	return nil
}

// writeRoot is what the programs of this boot do to the live subvolumes.
func (m *machine) writeRoot(boot int) error {
	m.disk.mark(Event{What: WritingBegins, Generation: boot})
	for _, b := range m.scenario.members() {
		if err := writeGeneration(m.top(b.live), b.name, boot); err != nil {
			return err
		}
	}
	if err := commit(m.top()); err != nil {
		return err
	}
	m.disk.mark(Event{What: WritingDone, Generation: boot})
	return nil
}

// deleteArchived deletes all archived roots, as a person may do who needs
// their space, with what is inside them.
func (m *machine) deleteArchived() error {
	m.disk.mark(Event{What: DeletionBegins})
	archived, err := filepath.Glob(m.top("@roots", "[0-9]*"))
	if err != nil {
		return err
	}
	for _, dir := range archived {
		for _, name := range []string{"root/srv", "root", "home"} {
			if err := deleteSubvolume(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return commit(m.top())
}

func deleteSubvolume(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Lstat(path); err != nil {
		return nil // a root without it
	}
	if filepath.Base(path) == "srv" {
		// What is inside a read-only subvolume cannot be unlinked.
		fd, err := openDirectory(parent)
		if err != nil {
			return err
		}
		err = btrfs.SetReadOnly(fd, false)
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	fd, err := openDirectory(parent)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return btrfs.DeleteByName(fd, filepath.Base(path))
}
