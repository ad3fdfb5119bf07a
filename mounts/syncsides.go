package mounts

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// agreedXattr notes on the source of a sync entry what it was when it and the
// target last had the same contents. What replaces the source, or writes to
// it, loses the note or does not fit it; what brings back an old source with its
// times and this note cannot be told from it. Where there can be no note (vfat,
// a user namespace), nobody but ebb is taken to write to the store.
const agreedXattr = "trusted.ebb.agreed"

// stamp tells one state of a file from another: copies have the times of what
// they are copies of.
func stamp(s *sys.Status) string {
	return format.Sprintf("%d.%09d %d", s.Mtime.Sec, s.Mtime.Nsec, s.Size)
}

// agree makes the note on the source, open as fd. It is best effort: at worst
// both sides count as changed the next time that they differ, and both are kept.
func agree(fd int, s *sys.Status) {
	path, want := sys.DescriptorPath(fd), stamp(s)
	buf := make([]byte, 64)
	if n, err := unix.Getxattr(path, agreedXattr, buf); err == nil && string(buf[:n]) == want {
		return
	}
	_ = unix.Setxattr(path, agreedXattr, []byte(want), 0)
}

// changedSides says which sides are not what they were when they last agreed.
func (p *placing) changedSides() (source, target bool) {
	buf := make([]byte, 64)
	n, err := unix.Getxattr(sys.DescriptorPath(p.source.fd), agreedXattr, buf)
	if errors.Is(err, unix.ENODATA) && !p.run.dry {
		// Where no note can be made, its absence says nothing.
		err = unix.Setxattr(sys.DescriptorPath(p.source.fd), agreedXattr, []byte("none"), 0)
	}
	if err != nil {
		return false, true
	}
	agreed := string(buf[:max(n, 0)])
	return agreed != stamp(&p.source.status), agreed != stamp(&p.target.status)
}

// settleBoth decides between two sides that differ. When the source was
// changed, too, the newer one counts, and the other is kept beside the source.
func (p *placing) settleBoth() (sourceWins bool, err error) {
	source, target := p.changedSides()
	if !source {
		return false, nil
	}
	sourceWins = !target || isNewer(&p.source.status, &p.target.status)
	if !target {
		return sourceWins, nil
	}
	loser := &p.source
	if sourceWins {
		loser = &p.target
	}
	return sourceWins, p.keepBeside(loser)
}

// takeSource puts a copy of the source in the place of the target, unless that
// was changed meanwhile: then both are looked at again later.
func (p *placing) takeSource() error {
	fd, err := copyBeside(p.source.fd, &p.target)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if changed, err := p.targetChanged(); err != nil || changed {
		p.result.State, p.result.Reason = Unsettled, "it changes while it is replaced"
		return errors.Join(err, sys.Remove(p.target.trail.fd(), sys.TemporaryName(p.target.name)))
	}
	if err := renameInto(fd, &p.target); err != nil {
		return err
	}
	agree(p.source.fd, &p.source.status)
	return nil
}

// mostConflicts bounds how many files of one second are kept beside one source.
const mostConflicts = 100

// keepBeside copies a side to a new name beside the source, durably.
func (p *placing) keepBeside(loser *side) error {
	s := &p.source
	at := loser.status.Mtime
	base := format.Sprintf("%s.ebb-conflict-%d", s.name, at.Sec)
	step := Step{Verb: KeepBeside, Path: join(p.item.Store.Path+s.dir, base), From: loser.path()}
	return p.act(step, func() error {
		dir := s.trail.fd()
		name, err := copyToNewName(loser.fd, s, base)
		if err != nil {
			return errors.Join(err, sys.Remove(dir, sys.TemporaryName(s.name)))
		}
		p.note(format.Sprintf("the file was changed here and in the store: the newer one counts, the other is kept as %s", quotePath(name)))
		return sys.SyncDirectory(dir)
	})
}

// copyToNewName copies the file that from is open on to a name beside a side
// that nothing has: base, or base with a number.
func copyToNewName(from int, beside *side, base string) (name string, err error) {
	fd, err := copyBeside(from, beside)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil {
		return "", format.Errorf("fsync: %w", err)
	}
	dir := beside.trail.fd()
	name = base
	for n := 1; ; n++ {
		err = sys.RenameNoReplace(dir, sys.TemporaryName(beside.name), dir, name)
		if !errors.Is(err, unix.EEXIST) || n == mostConflicts {
			return name, err
		}
		name = format.Sprintf("%s-%d", base, n)
	}
}
