package initrd

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
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
	table, err := r.guardBeforeOpening()
	if err != nil {
		return nil, err
	}
	err = WithTopLevel(root, func(top int) error {
		facts, err := readFacts(top, root, copyOf)
		if err != nil {
			return err
		}
		if err := guardLiveRoot(facts.Members, table); err != nil {
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
