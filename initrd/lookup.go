package initrd

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/mounts"
	"github.com/ebb-nix/ebb/roots"
)

// PlanRollback says what a rollback would do now, one line a step, and what
// would keep it from doing so. It runs the guards and the planning of
// [Host.Rollback] and changes nothing: the file system is looked at through a
// read-only mount that does not even replay its log.
func (h *Host) PlanRollback(cfg *config.Config) (lines []string, err error) {
	if done, err := h.alreadyRolledBack(); done || err != nil {
		return nil, err
	}
	wish := rollbackWish(h.CommandLine)
	switch {
	case cfg.Root.Kind == config.KindNone:
		return nil, nil
	case wish.keep:
		return []string{"keeping the root: " + wish.reason}, nil
	case cfg.Root.Kind == config.KindTmpfs:
		return h.planTmpfs(&cfg.Root)
	}
	return h.planBtrfs(&cfg.Root, wish.copyOf)
}

func (h *Host) planBtrfs(root *config.Root, copyOf uint64) (lines []string, err error) {
	r := &rollback{host: h, root: root}
	table, err := r.guardBeforeOpening(false)
	if err != nil {
		return nil, err
	}
	err = WithTopLevel(root, func(top int) error {
		if fd, err := guardArchive(top, root.Archive); err != nil {
			return err
		} else if fd >= 0 {
			unix.Close(fd) // at once, a rollback does not wait for the lock
		}
		facts, err := readFacts(top, root, copyOf)
		if err != nil {
			return err
		}
		if err := guardLiveRoot(top, facts.Members, table); err != nil {
			return err
		}
		for _, s := range Plan(facts).Steps {
			lines = append(lines, s.Text(root))
		}
		return nil
	})
	return lines, err
}

// WithTopLevel lets look work on the top-level subvolume of the root's file
// system, mounted read-only and detached; nothing is written to the disk.
func WithTopLevel(root *config.Root, look func(topFd int) error) error {
	top, err := viewTopLevel(root)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	return look(top)
}

// ChangeTopLevel lets change work on the top-level subvolume of the root's file
// system, mounted writable and detached: for what works on the archive, in the
// running system and in a recovery shell. The guard for a pending hibernation
// image holds there, too. Only that a device of resume= is not there does not
// count in the running system, which has the file system mounted anyhow.
func (h *Host) ChangeTopLevel(root *config.Root, change func(topFd int) error) error {
	if image := guardHibernation(h.CommandLine, systemResumeSources()); image != nil && (h.Stage1 || !image.absent()) {
		return image.refusal(h.RootIsMounted())
	}
	top, err := openTopLevel(root)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	return change(top)
}

// Protected lists what lies on the root's file system and is in use: all that
// the config names, and whatever is mounted. Mounts of other file systems count
// as well, when their names are the same: that keeps too much, never too
// little.
func Protected(root *config.Root) ([]roots.Protected, error) {
	list := []roots.Protected{
		{Path: root.Subvolume, Why: "the config names it as the root"},
		{Path: root.Blank, Why: "the config names it as the blank snapshot"},
		{Path: root.Archive, Why: "it holds the archive"},
	}
	for _, a := range root.Also {
		list = append(list, roots.Protected{Path: a.Subvolume, Why: "the config names it"},
			roots.Protected{Path: a.Blank, Why: "the config names it"})
	}
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return nil, err
	}
	for _, m := range table {
		if m.Type == "btrfs" {
			list = append(list, roots.Protected{Path: strings.Trim(m.Root, "/"), Why: format.Sprintf("it is mounted on %s", m.MountPoint)})
		}
	}
	return list, nil
}

// MemberNames returns the names that a rollback archives subvolumes under.
func MemberNames(root *config.Root) []string {
	names := []string{archive.Root}
	for _, a := range root.Also {
		names = append(names, a.Name)
	}
	return names
}
