package powercut

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
)

// where a subvolume lies.
type where string

const (
	isLive     where = "live"
	isStaged   where = "staged"
	isTrash    where = "trash"
	isArchived where = "archived"
)

// place is a subvolume that is, or was, a live one.
type place struct {
	where      where
	path       string
	number     uint64 // in the archive
	member     string
	generation int
	notWhole   error // the generation is not there in full
	notFresh   error // the subvolume is not as if just made
	info       btrfs.SubvolumeInfo
	meta       error // meta.json of an archived one does not describe it
}

// inspect looks at all subvolumes that are or were live, and whether their
// contents are whole, if that is asked for: renames do not change it.
func (m *machine) inspect(contents bool) ([]place, error) {
	var places []place
	for _, b := range m.scenario.members() {
		p, err := m.look(place{where: isLive, path: m.top(b.live), member: b.name}, contents)
		if err != nil {
			return nil, fmt.Errorf("there is no whole %s: %w", b.live, err)
		}
		places = append(places, p)
	}
	roots := m.top("@roots")
	for _, dir := range []struct {
		where where
		path  string
	}{
		{isStaged, filepath.Join(roots, archive.Next)},
		{isTrash, filepath.Join(roots, archive.Trash, "*")},
		{isArchived, filepath.Join(roots, "[0-9]*")},
	} {
		for _, b := range m.scenario.members() {
			found, err := filepath.Glob(filepath.Join(dir.path, b.name))
			if err != nil {
				return nil, err
			}
			for _, path := range found {
				p, err := m.look(place{where: dir.where, path: path, member: b.name}, contents)
				if err != nil {
					return nil, err
				}
				places = append(places, p)
			}
		}
	}
	return places, nil
}

func (m *machine) look(p place, contents bool) (place, error) {
	var err error
	if p.info, err = subvolume(p.path); err != nil {
		return p, err
	}
	if p.generation, err = readGeneration(p.path); err != nil {
		return p, err
	}
	if p.generation != fresh && contents {
		p.notWhole = checkFiles(p.path, m.contents.of(p.member, p.generation))
	} else if p.generation == fresh && p.where == isLive && contents {
		p.notFresh = checkFresh(p.path, m.anyVersion())
	}
	if p.where == isArchived {
		p.number, _ = archive.ParseDirectoryName(filepath.Base(filepath.Dir(p.path)))
		p.meta = p.checkMeta()
	}
	return p, nil
}

func (m *machine) anyVersion() string {
	if m.scenario.Blank {
		return anyVersion
	}
	return ""
}

// checkMeta demands that meta.json tells of this subvolume.
func (p *place) checkMeta() error {
	dir, err := openDirectory(filepath.Dir(p.path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	info, err := archive.ReadInfo(dir)
	if err != nil {
		return err
	}
	told, ok := info.Member(p.member)
	switch {
	case info.Sequence != p.number:
		return fmt.Errorf("meta.json of number %d lies in %06d", info.Sequence, p.number)
	case !ok || told.Old != p.info.UUID:
		return fmt.Errorf("meta.json does not name the subvolume %s", p.info.UUID)
	}
	return nil
}

func (p *place) String() string {
	switch p.where {
	case isLive:
		return "the live " + p.member
	case isArchived:
		return fmt.Sprintf("the archived %06d/%s", p.number, p.member)
	}
	return fmt.Sprintf("the %s %s", p.where, p.member)
}
