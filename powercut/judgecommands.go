package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/keep"
	"github.com/ebb-nix/ebb/roots"
)

func (k *Knowledge) isDoomed(generation int) bool {
	_, doomed := k.Doomed[generation]
	return doomed
}

// checkDoomed judges a subvolume of a root whose deletion was begun: it is in
// the trash, or as if nothing had been begun.
func (k *Knowledge) checkDoomed(p *place, number uint64) error {
	switch {
	case k.Deleted[p.generation]:
		return fmt.Errorf("generation %d was deleted", p.generation)
	case p.where == isTrash:
		return nil
	case p.where != isArchived || p.number != number:
		return fmt.Errorf("generation %d was archived as %06d", p.generation, number)
	case p.notWhole != nil:
		return fmt.Errorf("generation %d, in the archive while it is deleted: %w", p.generation, p.notWhole)
	case p.meta != nil:
		return p.meta
	case !p.info.Flags.IsReadOnly():
		return errors.New("it can be written to")
	}
	return nil
}

// checkDoomedTogether demands that of a root whose deletion was begun all or
// nothing is in the archive.
func (k *Knowledge) checkDoomedTogether(places []place) error {
	for generation := range k.Doomed {
		archived, members := 0, 0
		for i := range places {
			switch {
			case places[i].where == isLive:
				members++
			case places[i].where == isArchived && places[i].generation == generation:
				archived++
			}
		}
		if archived != 0 && archived != members {
			return fmt.Errorf("of generation %d, which is deleted, %d of %d subvolumes are in the archive", generation, archived, members)
		}
	}
	return nil
}

// checkMoved demands the subvolumes that somebody has moved by hand.
func (m *machine) checkMoved(k *Knowledge) error {
	if !k.Moved {
		return nil
	}
	if _, err := os.Lstat(m.top(besideRoot)); err != nil {
		return fmt.Errorf("somebody's subvolume is deleted: %w", err)
	}
	found, err := filepath.Glob(m.top("@roots", "*", archive.Root, insideRoot))
	if err != nil {
		return err
	}
	if _, err := os.Lstat(m.top("@", insideRoot)); err != nil && len(found) == 0 {
		return errors.New("somebody's subvolume, moved into a root, is deleted")
	}
	return nil
}

// checkCleared has the next run of a deletion empty the trash: it needs no
// help for that, and takes nothing else.
func (m *machine) checkCleared(k *Knowledge) error {
	err := m.withRemover(func(remover *roots.Remover) error {
		_, err := remover.EmptyTrash()
		return err
	})
	if err != nil {
		return fmt.Errorf("empty the trash: %w", err)
	}
	left, err := os.ReadDir(m.top("@roots", archive.Trash))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%s stays in the trash", left[0].Name())
	}
	return m.checkMoved(k)
}

// checkRestored demands that what was brought back from the archive is whole or
// not there, and that what lay in its place before is beside it.
func (m *machine) checkRestored(k *Knowledge) error {
	for generation := range k.Restoring {
		there := 0
		for _, name := range []string{applicationName(generation), applicationName(generation) + ".before-restore-1"} {
			path := m.top(restoredDirectory, name)
			if _, err := os.Lstat(path); err != nil {
				continue
			}
			there++
			if err := checkFiles(path, m.contents.of(applicationMember, generation)); err != nil {
				return fmt.Errorf("the restored %s: %w", name, err)
			}
		}
		if times := k.Restored[generation]; there < times {
			return fmt.Errorf("generation %d was restored %d times, and is there %d times", generation, times, there)
		}
	}
	return nil
}

// checkKept demands that what was kept is whole or not there, and is there when
// that was told or when it is on the list.
func (m *machine) checkKept(k *Knowledge) error {
	if len(k.Keeping) == 0 {
		return nil
	}
	top, err := openDirectory(m.top())
	if err != nil {
		return err
	}
	defer unix.Close(top)
	lists, problems := keep.List(top, []config.Store{{Path: "/@persist"}})
	if len(problems) > 0 {
		return fmt.Errorf("the list of what was kept: %w", problems)
	}
	listed := map[string]bool{}
	for _, e := range lists[0] {
		listed[strings.TrimPrefix(e.Path, "/var/lib/")] = true
	}
	for generation := range k.Keeping {
		name := applicationName(generation)
		if err := m.checkAdopted(generation); err != nil {
			return err
		}
		_, err := os.Lstat(m.top("@persist/var/lib", name))
		switch {
		case k.Kept[generation] && err != nil:
			return fmt.Errorf("generation %d was kept: %w", generation, err)
		case listed[name] && err != nil:
			return fmt.Errorf("generation %d is on the list of what was kept: %w", generation, err)
		case k.Listed[generation] && !listed[name]:
			return fmt.Errorf("generation %d is not on the list of what was kept", generation)
		}
	}
	return nil
}
