package mounts

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// copyIn makes the target of a sync entry a copy of the source. A target that
// was changed, and the source not or before it, stays, and will be copied back.
func (p *placing) copyIn() error {
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	if p.target.exists() && p.target.status.IsMountRoot() {
		p.result.State, p.result.Reason = Already, "a file is mounted there, left alone"
		return nil
	}
	if err := p.makeSource(); err != nil {
		return err
	}
	if err := p.boundSizes(); err != nil {
		return err
	}
	if p.source.exists() && p.target.exists() && !p.run.root.New {
		stays, err := p.targetStays()
		if err != nil || stays {
			return err
		}
	}
	// Also for a file that is not there yet: its program needs the directory.
	if err := p.makeParents(&p.target, &p.source); err != nil {
		return err
	}
	if !p.source.exists() {
		p.result.State = Waiting
		return nil
	}
	step := Step{Verb: CopyIn, Path: p.item.Entry.Path, From: p.result.Source}
	return p.act(step, func() error {
		if err := replace(&p.source, &p.target); err != nil {
			return err
		}
		agree(p.source.fd, &p.source.status)
		return nil
	})
}

// mostSynced is how large a file may be that is copied at each boot and compared
// whenever anybody asks. A user could have a file of holes there that is as large
// as the file system takes, and whoever read it to its end would not come back.
const mostSynced = 64 << 20

func (p *placing) boundSizes() error {
	for _, s := range []*side{&p.source, &p.target} {
		if s.exists() && s.status.Size > mostSynced {
			return format.Errorf("%s has more than %d MiB, which is too large to be copied each time: bind it, or its directory", quotePath(s.path()), mostSynced>>20)
		}
	}
	return nil
}

// targetStays decides at a boot about a root that is not new.
func (p *placing) targetStays() (bool, error) {
	same, err := p.sameContents()
	if err != nil {
		return false, err
	}
	if same {
		p.result.State = Already
		if !p.run.dry {
			agree(p.source.fd, &p.source.status)
		}
		return true, nil
	}
	if sourceWins, err := p.settleAtBoot(); err != nil || sourceWins {
		return false, err
	}
	p.result.State, p.result.Reason = Already, "it was changed later than the copy in the store, left alone"
	return true, nil
}

// settleAtBoot leaves a source that loses to the copying back.
func (p *placing) settleAtBoot() (sourceWins bool, err error) {
	source, target, known := p.changedSides()
	switch {
	case p.target.status.Size == 0 && p.source.status.Size > 0:
		// Copied in by the boot before, and nothing of it was on the disk yet when
		// the power was cut.
		return true, nil
	case known && !source:
		return false, nil
	case known && !target:
		return true, nil
	case !isNewer(&p.source.status, &p.target.status):
		return false, nil
	}
	return true, p.keepBeside(&p.target)
}

func isNewer(a, b *sys.Status) bool {
	if a.Mtime.Sec != b.Mtime.Sec {
		return a.Mtime.Sec > b.Mtime.Sec
	}
	return a.Mtime.Nsec > b.Mtime.Nsec
}

// replace puts a copy of what from is open on in the place of to, in one step:
// readers see the old contents or the new.
func replace(from, to *side) error {
	fd, err := copyBeside(from.fd, to)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return renameInto(fd, to)
}

// copyBeside copies the file that from is open on to the temporary name of to.
func copyBeside(from int, to *side) (int, error) {
	dir, temporary := to.trail.fd(), sys.TemporaryName(to.name)
	// Left over by a run that was killed: nobody else uses the name.
	if err := sys.Remove(dir, temporary); err != nil {
		return -1, err
	}
	o := copytree.Options{SetID: true}
	if to.trail.lasting { // the store, which has more power than a mount of a user's
		o.SetID, _ = copytree.Powers(from)
	}
	fd, _, err := copytree.Copy(from, dir, temporary, o)
	return fd, err
}

// renameInto gives the copy, open as fd, the name of to.
func renameInto(fd int, to *side) error {
	dir, temporary := to.trail.fd(), sys.TemporaryName(to.name)
	if err := sys.Rename(dir, temporary, dir, to.name); err != nil {
		return errors.Join(err, sys.Remove(dir, temporary))
	}
	if _, err := sameName(dir, to.name, fd); err != nil {
		return format.Errorf("%s was exchanged while it was replaced: %w", quotePath(to.path()), err)
	}
	return nil
}

// sameContents reports whether the two sides agree in owner, mode and contents,
// and the source has the extended attributes of the target. Times do not count: a
// program that writes what was there already has changed nothing.
func (p *placing) sameContents() (bool, error) {
	a, b := &p.source, &p.target
	if a.status.UID != b.status.UID || a.status.GID != b.status.GID ||
		a.status.Permissions() != b.status.Permissions() || a.status.Size != b.status.Size {
		return false, nil
	}
	fa, err := openContents(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := openContents(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	// A file that grows meanwhile is read up to the size that it had.
	same, err := sameBytes(io.LimitReader(fa, int64(a.status.Size)), io.LimitReader(fb, int64(b.status.Size)))
	if _, unnoted := readAgreement(a.fd); !same || err != nil || unnoted != nil {
		return same, err // without a note the store may be one that has no attributes
	}
	return copytree.HasXattrs(int(fa), int(fb))
}

// openContents opens the regular file of a side for reading.
func openContents(s *side) (sys.File, error) {
	fd, err := sys.Reopen(s.fd, unix.O_RDONLY|unix.O_NONBLOCK)
	return sys.File(fd), err
}

func sameBytes(a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if isEnd(errA) && isEnd(errB) {
			return true, nil
		}
		if err := errors.Join(errA, errB); err != nil {
			return false, err
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
