package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/kmsg"
)

// A store may lie on another disk than the root, with another file system. That
// disk is the one that is recorded and cut, then, and nothing of what ebb has
// noted on the root's is taken back by the cut: so whatever such a note relies
// on has to be on the store's disk before.

// storeTypes says how a file system for a store is made. None of them writes to
// the disk after that, when nobody does.
var storeTypes = map[string]struct {
	size int64
	mkfs []string
}{
	"ext4": {64 << 20, []string{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-J", "size=4"}},
	"xfs":  {320 << 20, []string{"mkfs.xfs", "-q", "-f", "-K"}}, // the least that mkfs.xfs(8) takes is 300 MiB
	"f2fs": {128 << 20, []string{"mkfs.f2fs", "-q", "-f", "-t", "0"}},
}

// size is how large the disk is that is recorded.
func (s *Scenario) size() int64 {
	switch {
	case s.Size != 0:
		return s.Size
	case s.Store != "":
		return storeTypes[s.Store].size
	}
	return diskSize
}

// IsKnownHere reports whether the kernel has the file system of the store, or would
// load it from a module (filesystems(5)). Only root gets to know.
func (s *Scenario) IsKnownHere() bool {
	if s.Store == "" {
		return true
	}
	// Whether there is a module shows when it was asked for: mount(2) does so before
	// it looks at the source, of which there is none.
	return !errors.Is(unix.Mount("none", "/", s.Store, 0, ""), unix.ENODEV)
}

// hasStoreDisk reports whether the store has a disk of its own.
func (m *machine) hasStoreDisk() bool { return m.scenario.Store != "" }

func (m *machine) formatStore() error {
	command := storeTypes[m.scenario.Store].mkfs
	output, err := exec.Command(command[0], append(command[1:], m.disk.Paths[0])...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command[0], err, output)
	}
	return nil
}

func (m *machine) mountStore(dir string) error {
	if err := unix.Mount(m.disk.Paths[0], dir, m.scenario.Store, unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount the store: %w", err)
	}
	return nil
}

// mountStoreAlone mounts the store where it is otherwise below the top level of
// the root's file system.
func (m *machine) mountStoreAlone() error {
	if err := os.MkdirAll(m.top("@persist"), 0o755); err != nil {
		return err
	}
	return m.mountStore(m.top("@persist"))
}

// judgeStore says what is wrong with the store, which is mounted alone: as the
// cut has left it, and after a boot whose root is empty and in memory.
func (m *machine) judgeStore(k *Knowledge, further bool) error {
	if err := errors.Join(m.checkStore(k, false), m.checkEnteredStore(k)); err != nil {
		return fmt.Errorf("before the recovery: %w", err)
	}
	times := 1
	if further {
		times = 2 // the second boot finds what the first has brought in
	}
	version := k.Syncing
	for range times {
		version++
		if err := m.bootWithStore(version); err != nil {
			return fmt.Errorf("the boot after the cut: %w", err)
		}
		after := k.clone()
		after.Synced, after.Syncing = version, version
		if err := m.checkStore(after, true); err != nil {
			return fmt.Errorf("after the recovery: %w", err)
		}
	}
	return nil
}

// checkEnteredStore demands the data of each boot that has ended with a note in
// its root that all entries are in place: no later boot looks behind that one for
// data that is missing.
func (m *machine) checkEnteredStore(k *Knowledge) error {
	for generation := range k.Adopted {
		if _, err := os.Lstat(m.top("@persist/var/lib", applicationName(generation))); err != nil {
			return fmt.Errorf("the root says that all entries were in place, and the data of generation %d is not: %w", generation, err)
		}
	}
	return nil
}

// bootWithStore brings the entries that every boot has into place in an empty
// root, and copies a new version of the file back.
func (m *machine) bootWithStore(version int) error {
	if err := unix.Mount("powercut", m.root(), "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	return errors.Join(m.useStore(version), m.unmountRoot())
}

func (m *machine) useStore(version int) error {
	if err := os.Mkdir(m.root("persist"), 0o755); err != nil {
		return err
	}
	if err := m.mountStore(m.root("persist")); err != nil {
		return err
	}
	cfg := &config.Config{Root: config.Root{Kind: config.KindNone}, Adopt: m.cfg.Adopt, Stores: []config.Store{{Path: "/persist"}}}
	for boot := 1; boot <= m.scenario.Boots; boot++ {
		cfg.Stores[0].Entries = append(cfg.Stores[0].Entries, madeEntry(boot))
	}
	cfg.Stores[0].Entries = append(cfg.Stores[0].Entries, syncedEntry())
	host := m.newBoot(&kmsg.Logger{})
	if err := host.Mount(cfg, m.root()); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := os.WriteFile(m.root(syncedFile), syncedText(version), 0o644); err != nil {
		return err
	}
	root, err := host.EntryRoot(cfg, m.root())
	if err != nil {
		return err
	}
	defer unix.Close(root.Fd)
	if err := failedEntry(root.SyncBack()); err != nil {
		return fmt.Errorf("sync back: %w", err)
	}
	return nil
}
