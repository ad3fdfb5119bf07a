package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/keep"
	"github.com/ebb-nix/ebb/roots"
)

// runCommands is what a person has ebb do in the running system.
func (m *machine) runCommands(host *initrd.Host, boot int) error {
	if m.scenario.Restore {
		if err := m.recordRestores(boot - 1); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	if m.scenario.Keep {
		if err := m.recordKeep(host, boot); err != nil {
			return fmt.Errorf("keep: %w", err)
		}
	}
	return nil
}

// Subvolumes of somebody's, which were moved to where archived roots are
// deleted: beside one, and into a root that is archived later. Both stay.
const (
	movedBeside = "@photos"
	movedInside = "@music"
)

// Where they are then.
const (
	besideRoot = "@roots/000001/photos"
	insideRoot = "music"
)

// deleteArchived deletes all archived roots that ebb lets go, as a person may
// do who needs their space.
func (m *machine) deleteArchived(boot int) error {
	if boot == 2 {
		moved := errors.Join(unix.Rename(m.top(movedBeside), m.top(besideRoot)),
			unix.Rename(m.top(movedInside), m.top("@", insideRoot)))
		if err := errors.Join(moved, commit(m.top())); err != nil {
			return err
		}
		m.disk.mark(Event{What: MovedByHand})
	}
	numbers, err := m.archivedNumbers()
	if err != nil {
		return err
	}
	err = m.withRemover(func(remover *roots.Remover) error {
		return m.stepwise(func() error { return m.remove(remover, numbers) })
	})
	if err := errors.Join(err, commit(m.top())); err != nil {
		return err
	}
	m.disk.mark(Event{What: DeletionDone})
	return nil
}

// remove deletes what it can of the archived roots.
func (m *machine) remove(remover *roots.Remover, numbers []uint64) error {
	for _, number := range numbers {
		if !m.holdsMoved(number) {
			m.disk.mark(Event{What: DeletionBegins, Number: number})
		}
		err := remover.Trash(number, false)
		if refused := (*roots.RefusedError)(nil); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
	_, err := remover.EmptyTrash()
	return err
}

// holdsMoved reports whether something of somebody's is in the archived root.
func (m *machine) holdsMoved(number uint64) bool {
	dir := m.top("@roots", archive.DirectoryName(number))
	for _, path := range []string{filepath.Join(dir, filepath.Base(besideRoot)), filepath.Join(dir, archive.Root, insideRoot)} {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}

func (m *machine) archivedNumbers() ([]uint64, error) {
	dir, err := openDirectory(m.top("@roots"))
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	return archive.Numbers(dir)
}

// withRemover opens the archive as "ebb prune" and "ebb roots delete" do.
func (m *machine) withRemover(do func(*roots.Remover) error) error {
	protected, err := initrd.Protected(&m.cfg.Root)
	if err != nil {
		return err
	}
	top, err := openDirectory(m.top())
	if err != nil {
		return err
	}
	defer unix.Close(top)
	remover := &roots.Remover{
		Protected: protected, Members: initrd.MemberNames(&m.cfg.Root), Announce: func(string, ...any) {},
	}
	if err := remover.Open(top, m.cfg.Root.Archive); err != nil {
		return err
	}
	defer remover.Close()
	return do(remover)
}

// restoredDirectory is where data of the archive is brought back to. Its files
// have no checksums, so that they cannot share their data with those of a root
// (ioctl_ficlone(2), EINVAL), and what is brought back has to be written.
const restoredDirectory = "@persist/restored"

func (m *machine) makeRestoredDirectory() error {
	if err := os.Mkdir(m.top(restoredDirectory), 0o755); err != nil || m.hasStoreDisk() {
		return err
	}
	dir, err := openDirectory(m.top(restoredDirectory))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	const noCow = 0x00800000 // FS_NOCOW_FL, ioctl_iflags(2)
	if err := unix.IoctlSetPointerInt(dir, unix.FS_IOC_SETFLAGS, noCow); err != nil {
		return fmt.Errorf("FS_IOC_SETFLAGS: %w", err)
	}
	return nil
}

// recordRestores brings the data of the application back, and then once more,
// over what the first time has brought.
func (m *machine) recordRestores(generation int) error {
	top, err := openDirectory(m.top())
	if err != nil {
		return err
	}
	defer unix.Close(top)
	target, err := openDirectory(m.top(restoredDirectory))
	if err != nil {
		return err
	}
	defer unix.Close(target)
	restore := &roots.Restore{
		Top: top, Archive: m.cfg.Root.Archive, Members: []roots.Member{{Name: archive.Root, Mount: "/"}},
		Target: target, Flat: true,
	}
	for _, restore.Force = range []bool{false, true} {
		m.disk.mark(Event{What: RestoreBegins, Generation: generation})
		err := m.stepwise(func() error {
			_, err := restore.Path("/var/lib/" + applicationName(generation))
			return err
		})
		if err != nil {
			return err
		}
		m.disk.mark(Event{What: RestoreDone, Generation: generation})
	}
	return nil
}

// recordKeep keeps the data of the application of this boot, which the next one
// has an entry for: by hand, or because there is a new configuration.
func (m *machine) recordKeep(host *initrd.Host, generation int) error {
	path, byHand := "/var/lib/"+applicationName(generation), generation%2 == 1
	if !byHand {
		m.cfg.Stores[0].Entries = append(m.cfg.Stores[0].Entries, config.Entry{Path: path, Directory: true, How: config.Bind})
	}
	root, err := host.EntryRoot(m.cfg, m.root())
	if err != nil {
		return err
	}
	defer unix.Close(root.Fd)
	keeper := &keep.Machine{Root: root, Lock: host.LockKeep, Proc: "/proc", Passwd: m.root("etc/passwd"), Quote: strconv.Quote}
	m.disk.mark(Event{What: KeepBegins, Generation: generation})
	if byHand {
		err := m.stepwise(func() error { return notKept(keeper.Keep(path, "/persist", "")) })
		if err != nil {
			return err
		}
		m.disk.mark(Event{What: KeepDone, Generation: generation})
		return nil
	}
	var failed error
	err = m.stepwise(func() error {
		keeper.Apply(func(r *keep.Result) { failed = errors.Join(failed, notKept(r)) })
		return failed
	})
	if err != nil {
		return err
	}
	m.disk.mark(Event{What: ApplyDone, Generation: generation})
	return nil
}

func notKept(r *keep.Result) error {
	if r.State != keep.Kept {
		return fmt.Errorf("%s is %s: %s", r.Path, r.State, r.Reason)
	}
	return nil
}
