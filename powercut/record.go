package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

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
	m.load = m.startLoad(counts, boot-1)
	err := m.runBoot(boot)
	return errors.Join(err, m.load.end(), m.unmountTop())
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
		if err := m.deleteArchived(boot); err != nil {
			return err
		}
		time.Sleep(m.scenario.Rest)
	}
	return nil
}

func (m *machine) recordRollback() (host *initrd.Host, record *initrd.RollbackRecord, err error) {
	err = m.stepwise(func() (err error) {
		host, record, err = m.rollback(&kmsg.Logger{})
		return err
	})
	return host, record, err
}

// stepwise does something, with a commit, with fsyncs or with what a stranger does
// before each system call of it that changes the file system, where the scenario asks
// for that.
func (m *machine) stepwise(do func() error) error {
	if m.scenario.Fsyncs {
		return interrupted(do, m.fsyncDirectories)
	}
	if m.scenario.Strange {
		return interrupted(do, m.stranger.act)
	}
	if !m.scenario.Between {
		return do()
	}
	commit, end, err := m.committer()
	if err != nil {
		return err
	}
	return errors.Join(interrupted(do, commit), end())
}

// mountRoot mounts the fresh root and the store below it.
func (m *machine) mountRoot() error {
	if err := m.mount("subvol=@", m.root()); err != nil {
		return err
	}
	if err := os.MkdirAll(m.root("persist"), 0o755); err != nil {
		return err
	}
	if m.hasStoreDisk() {
		return m.mountStore(m.root("persist"))
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
	adopted := config.Entry{Path: "/var/lib/" + applicationName(boot-1), Directory: true, How: config.Bind}
	return []config.Entry{adopted, madeEntry(boot), syncedEntry()}
}

func madeEntry(boot int) config.Entry {
	uid, gid, mode := uint32(madeUID), uint32(madeGID), uint32(madeMode)
	return config.Entry{Path: "/var/" + madeName(boot), Directory: true, How: config.Bind, Owner: config.Owner{UID: &uid, GID: &gid}, Mode: &mode}
}

func syncedEntry() config.Entry { return config.Entry{Path: "/" + syncedFile, How: config.Sync} }

// useRoot is a boot from the mounted root on: the entries, what programs write,
// and the file that is copied back.
func (m *machine) useRoot(host *initrd.Host, boot int) error {
	m.disk.mark(Event{What: EntriesBegin, Generation: boot - 1})
	if err := m.stepwise(func() error { return m.enter(host, boot) }); err != nil {
		return err
	}
	m.disk.mark(Event{What: EntriesDone, Generation: boot - 1})
	if err := m.writeRoot(boot); err != nil {
		return err
	}
	if err := m.recordSyncBack(host, boot); err != nil {
		return fmt.Errorf("sync back: %w", err)
	}
	return m.runCommands(host, boot)
}

func (m *machine) recordSyncBack(host *initrd.Host, boot int) error {
	m.disk.mark(Event{What: SyncBackBegins, Generation: boot})
	if err := os.WriteFile(m.root(syncedFile), syncedText(boot), 0o644); err != nil {
		return err
	}
	root, err := host.EntryRoot(m.cfg, m.root())
	if err != nil {
		return err
	}
	defer unix.Close(root.Fd)
	if err := m.stepwise(func() error { return failedEntry(root.SyncBack()) }); err != nil {
		return err
	}
	m.disk.mark(Event{What: SyncBackDone, Generation: boot})
	return nil
}

// enter brings the entries of a boot into place in the mounted root.
func (m *machine) enter(host *initrd.Host, boot int) error {
	m.cfg.Stores = []config.Store{{Path: "/persist", Entries: entries(boot)}}
	if err := host.Mount(m.cfg, m.root()); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
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
		if err := m.contents.writeGeneration(m.top(b.live), b.name, boot); err != nil {
			return err
		}
	}
	if err := commit(m.top()); err != nil {
		return err
	}
	m.disk.mark(Event{What: WritingDone, Generation: boot})
	m.load.wrote(boot)
	return nil
}
