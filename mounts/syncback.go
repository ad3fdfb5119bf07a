package mounts

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// copyBackTries is how often a file that changes while it is copied is copied
// again.
const copyBackTries = 3

// SyncBack copies the targets of sync entries into the store where they differ
// from what is there, durably: all such entries, or those of the given paths.
//
// Where the source was changed since the two last agreed it goes to the target
// instead; where both were, the newer one counts, and the other is kept beside
// the source. A target that is missing changes nothing in the store. One that something is
// mounted on is not settled yet: systemd mounts a file in /run on
// /etc/machine-id until the id can be written to the disk
// (systemd-machine-id-commit.service(8)).
func (r *Root) SyncBack(paths ...string) Report { return r.syncBack(false, paths) }

// PlanSyncBack says what SyncBack would do now, and does nothing.
func (r *Root) PlanSyncBack(paths ...string) Report { return r.syncBack(true, paths) }

func (r *Root) syncBack(dry bool, paths []string) Report {
	want := func(e *config.Entry) bool {
		return e.How == config.Sync && (len(paths) == 0 || slices.Contains(paths, e.Path))
	}
	do := (*placing).copyBack
	if r.Patience > 0 {
		do = (*placing).copyBackPatiently
	}
	return r.each(dry, want, do)
}

func (p *placing) copyBack() error {
	if err := p.lookAtSource(); err != nil {
		return err
	}
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	switch {
	case !p.target.exists() && !p.source.exists():
		p.result.State = Waiting
		return nil
	case !p.target.exists():
		p.result.State, p.result.Reason = Already, "nothing is there, the copy in the store is kept"
		return nil
	case p.target.status.IsMountRoot():
		p.result.State, p.result.Reason = Unsettled, "something is mounted there"
		return nil
	}
	if err := p.boundSizes(); err != nil {
		return err
	}
	if p.source.exists() {
		same, err := p.sameContents()
		if err != nil {
			return err
		}
		if same {
			p.result.State = Already
			if !p.run.dry {
				agree(p.source.fd, &p.source.status)
			}
			return nil
		}
		if sourceWins, err := p.settleBoth(); err != nil {
			return err
		} else if sourceWins {
			step := Step{Verb: CopyIn, Path: p.item.Entry.Path, From: p.result.Source}
			return p.act(step, p.takeSource)
		}
	}
	if err := p.makeParents(&p.source, &p.target); err != nil {
		return err
	}
	step := Step{Verb: CopyBack, Path: p.result.Source, From: p.item.Entry.Path}
	return p.act(step, p.replaceSource)
}

// replaceSource puts a copy of the target into the store, with a disk flush
// before and after it gets its name. A target that changes meanwhile is copied
// again; programs that replace it by rename leave it whole in any case.
func (p *placing) replaceSource() error {
	for range copyBackTries {
		fd, err := copyBeside(p.target.fd, &p.source)
		if err != nil {
			return err
		}
		changed, err := p.targetChanged()
		if err == nil && !changed {
			err = p.commit(fd)
		}
		unix.Close(fd)
		if err != nil || !changed {
			return err
		}
	}
	err := format.Errorf("%s changes all the time", quotePath(p.item.Entry.Path))
	return errors.Join(err, sys.Remove(p.source.trail.fd(), sys.TemporaryName(p.source.name)))
}

func (p *placing) commit(fd int) error {
	if err := sys.SyncFile(fd); err != nil {
		return err
	}
	if p.run.givenUp.Load() {
		return errNoAnswer
	}
	if err := renameInto(fd, &p.source); err != nil {
		return err
	}
	agree(fd, &p.target.status) // after the rename, which sets the change time
	return sys.SyncDirectory(p.source.trail.fd())
}

// targetChanged looks at the target again, and opens it anew when it is
// another file by now, or the same with other contents.
func (p *placing) targetChanged() (bool, error) {
	before := p.target.status
	p.target.close()
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return false, err
	}
	now := &p.target.status
	if !p.target.exists() {
		return false, format.Errorf("%s vanished while it was copied", quotePath(p.item.Entry.Path))
	}
	return !now.SameInode(&before) || now.Size != before.Size || now.Mtime != before.Mtime, nil
}
