package mounts

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// agreedXattr notes on the source of a sync entry what it was when it and the
// target last had the same contents, and when that was noted. What replaces the
// source or writes to it loses the note or does not fit it, and whatever else
// is done to the inode sets its change time: so does cp -a, which brings an old
// source back with its times and its note. Where there can be no note (vfat, a
// user namespace), nobody but ebb is taken to write to the store.
const agreedXattr = "trusted.ebb.agreed"

// agreement is what the note says.
type agreement struct {
	stamp string
	at    int64 // seconds
}

// noted is by how much the note and the change that it made to its inode may
// differ, in seconds: both have the clock of the last tick.
const noted = 1

// stamp tells one state of a file from another: copies have the times, the owner
// and the mode of what they are copies of.
func stamp(s *sys.Status) string {
	return format.Sprintf("%d.%09d %d %o %d:%d", s.Mtime.Sec, s.Mtime.Nsec, s.Size, s.Permissions(), s.UID, s.GID)
}

// readAgreement reads the note of the source, open as fd.
func readAgreement(fd int) (a agreement, err error) {
	note, err := sys.GetXattr(fd, agreedXattr)
	text := string(note)
	if i := strings.LastIndexByte(text, ' '); i > 0 {
		a.stamp = text[:i]
		a.at, _ = strconv.ParseInt(text[i+1:], 10, 64) // else it fits nothing
	}
	return a, err
}

// fits tells whether the source is what it was when this was noted on it.
func (a *agreement) fits(source *sys.Status) bool {
	return a.stamp == stamp(source) && a.isLast(source)
}

// isLast tells whether the note was the last that was done to the source.
func (a *agreement) isLast(source *sys.Status) bool {
	return source.Ctime.Sec-a.at <= noted && a.at-source.Ctime.Sec <= noted
}

// agree notes on the source, open as fd, that the sides agreed when it, or what
// it is a copy of, was as s has it: what was written to it since does not fit. It
// is best effort: at worst both sides count as changed the next time that they
// differ, and both are kept.
func agree(fd int, s *sys.Status) {
	own, err := sys.Stat(fd)
	if err != nil {
		return
	}
	if a, err := readAgreement(fd); err == nil && a.stamp == stamp(s) && a.isLast(&own) {
		return
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now) == nil {
		_ = sys.SetXattr(fd, agreedXattr, []byte(format.Sprintf("%s %d", stamp(s), now.Sec)))
	}
}

// changedSides says which sides are not what they were when they last agreed;
// known is false where no note can be made, so that its absence says nothing.
//
// A target of before the note is not a changed one: it is that of an old root, or a
// power cut has taken away what stood in its place by then. That the source is
// newer than it is known, so both count as changed.
func (p *placing) changedSides() (source, target, known bool) {
	a, err := readAgreement(p.source.fd)
	if errors.Is(err, unix.ENODATA) {
		err = nil
		if !p.run.dry {
			err = sys.SetXattr(p.source.fd, agreedXattr, []byte("none"))
		}
	}
	if err != nil {
		return false, true, false
	}
	target = a.stamp != stamp(&p.target.status)
	return !a.fits(&p.source.status) || target && p.target.status.Ctime.Sec < a.at, target, true
}

// settleBoth decides between two sides that differ: what was changed counts,
// and of two that were the newer one. The other is kept beside the source then.
func (p *placing) settleBoth() (sourceWins bool, err error) {
	source, target, _ := p.changedSides()
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

// conflictMark is in the names of files that were kept beside a source.
const conflictMark = ".ebb-conflict-"

// conflictName is the name beside a source of that name, shortened where that
// leaves no room for a number behind it.
func conflictName(name string, seconds int64) string {
	const nameMax, number = 255, len("-100")
	mark := format.Sprintf("%s%d", conflictMark, seconds)
	return name[:min(len(name), nameMax-len(mark)-number)] + mark
}

// isConflictOf tells whether conflictName made the name for a source, the whole
// of it or a shortened one.
func isConflictOf(name, source string) bool {
	const shortened = 200
	i := strings.LastIndex(name, conflictMark)
	return i >= 0 && strings.HasPrefix(source, name[:i]) && (i == len(source) || i > shortened)
}

// keepBeside copies a side to a new name beside the source, durably.
func (p *placing) keepBeside(loser *side) error {
	s := &p.source
	at := loser.status.Mtime
	base := conflictName(s.name, at.Sec)
	step := Step{Verb: KeepBeside, Path: join(p.item.Store.Path+s.dir, base), From: loser.path()}
	return p.act(step, func() error {
		dir := s.trail.fd()
		name, err := copyToNewName(loser, s, base)
		if err != nil {
			return errors.Join(err, sys.Remove(dir, sys.TemporaryName(s.name)))
		}
		p.note(format.Sprintf("the file was changed here and in the store: the newer one counts, the other is kept as %s", quotePath(name)))
		return sys.SyncDirectory(dir)
	})
}

// copyToNewName copies a side to a name beside a side that nothing has: base, or
// base with a number. It is given that name when it is whole.
func copyToNewName(from, beside *side, base string) (name string, err error) {
	fd, err := copyBeside(from.fd, beside)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if err := sys.SyncFile(fd); err != nil {
		return "", err
	}
	now, err := sys.Stat(from.fd)
	if err == nil && stamp(&now) != stamp(&from.status) {
		err = format.Errorf("%s changes while it is copied", quotePath(from.path())) // it is tried again
	}
	if err != nil {
		return "", err
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
