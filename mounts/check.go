package mounts

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Check says how every entry stands now, and changes nothing.
func (r *Root) Check() Report { return r.each(true, all, (*placing).check) }

func (p *placing) check() error {
	if err := p.lookAtSource(); err != nil {
		return err
	}
	var err error
	switch p.item.Entry.How {
	case config.Symlink:
		err = p.checkSymlink()
	case config.Sync:
		err = p.checkSync()
	default:
		err = p.checkBind()
	}
	if err != nil || p.result.State != InPlace || !p.source.exists() {
		return err
	}
	if p.result.Left = copytree.ReadLeft(p.source.fd); p.result.Left != 0 {
		p.result.Adoption = "not adopted when new" + p.whereLeft(p.result.Left)
	}
	pending, err := readPending(p.source.fd)
	if err == nil && pending != "" {
		p.result.State, p.result.Pending = Pending, pending
	}
	return err
}

// is enters how the entry stands.
func (p *placing) is(state State, reason string) error {
	p.result.State, p.result.Reason = state, reason
	return nil
}

func (p *placing) checkBind() error {
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	switch {
	case !p.source.exists():
		return p.is(Missing, format.Sprintf("%s is not there", quotePath(p.result.Source)))
	case p.isMounted():
		return p.is(InPlace, "")
	case p.isCovered():
		return p.is(InPlace, p.result.Reason)
	case p.target.exists() && p.target.status.IsMountRoot():
		return p.is(Missing, "something else is mounted there")
	}
	return p.is(Missing, "not mounted")
}

func (p *placing) checkSymlink() error {
	if err := p.target.enter(&p.run.target, p.item.Entry.Path); err != nil {
		return err
	}
	if p.target.missing != "" {
		return p.is(Missing, "there is no link")
	}
	t := &p.target
	text, err := sys.ReadSymlink(t.trail.fd(), t.name)
	switch {
	case isMissing(err):
		return p.is(Missing, "there is no link")
	case errors.Is(err, unix.EINVAL): // readlink(2): not a link
		return p.is(Missing, "something else than a link is there")
	case err != nil:
		return err
	case text != p.result.Source:
		return p.is(Missing, "the link leads to "+quotePath(text))
	case p.item.Entry.Directory && !p.source.exists():
		return p.is(Missing, format.Sprintf("%s is not there", quotePath(p.result.Source)))
	}
	return p.is(InPlace, "")
}

func (p *placing) checkSync() error {
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	switch {
	case p.target.exists() && p.target.status.IsMountRoot():
		return p.is(InPlace, "something is mounted there")
	case !p.target.exists() && !p.source.exists():
		return p.is(Waiting, "")
	case !p.target.exists():
		return p.is(Missing, "nothing is there")
	case !p.source.exists():
		return p.is(InPlace, "not copied back yet")
	}
	if err := p.boundSizes(); err != nil {
		return err
	}
	same, err := p.sameContents()
	if err == nil && !same {
		return p.is(InPlace, "differs from the copy in the store")
	}
	return errors.Join(err, p.is(InPlace, p.source.describeConflicts()))
}

// describeConflicts tells of what was kept beside the source. It is best effort:
// at worst nobody is reminded of it.
func (s *side) describeConflicts() string {
	fd, err := sys.Reopen(s.trail.fd(), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	names, _ := sys.ReadNames(fd)
	newest, more := "", -1
	for _, name := range names {
		if isConflictOf(name, s.name) {
			newest = max(newest, name)
			more++
		}
	}
	others := ""
	switch {
	case more < 0:
		return ""
	case more > 0:
		others = format.Sprintf(" (and %d more beside it)", more)
	}
	return format.Sprintf("changed in two places once: the other version is %s%s, to be merged and removed",
		quotePath(join(path.Dir(s.path()), newest)), others)
}
