package mounts

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// link makes the target a symbolic link to the source. Whatever else stands
// at the target stays there, unless the root says to set it aside.
func (p *placing) link() error {
	if err := p.target.enter(&p.run.target, p.item.Entry.Path); err != nil {
		return err
	}
	if p.target.missing == "" {
		done, err := p.lookAtLink()
		if err == nil && done && p.item.Entry.Directory {
			return p.makeSource() // which the link of a root that is kept may have lost
		}
		if err != nil || done {
			return err
		}
	}
	if err := p.makeSource(); err != nil {
		return err
	}
	replaces := p.target.exists()
	if replaces && !p.run.root.SetAside {
		return p.refuseLink()
	}
	if err := p.makeParents(&p.target, &p.source); err != nil {
		return err
	}
	step := Step{Verb: MakeLink, Path: p.item.Entry.Path, From: p.result.Source}
	return p.act(step, func() error {
		if replaces {
			return p.exchangeLink()
		}
		return p.makeLink(p.target.name)
	})
}

// lookAtLink reports whether the link is there. Something that is no link is
// opened as the target, for its data to be adopted.
func (p *placing) lookAtLink() (done bool, err error) {
	t, e := &p.target, p.item.Entry
	status, err := sys.StatComponent(t.trail.fd(), t.name)
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !status.IsSymlink() {
		return false, t.look(t.trail, e)
	}
	text, err := sys.ReadSymlink(t.trail.fd(), t.name)
	if err != nil {
		return false, err
	}
	if text != p.result.Source {
		return false, &Refusal{
			Path: e.Path, Is: status.TypeName(), UID: status.UID, Want: "link to " + p.result.Source,
			Hint: "it leads to " + quotePath(text),
		}
	}
	p.result.State = Already
	return true, nil
}

func (p *placing) refuseLink() error {
	hint := "move it away, then the link can be made"
	if p.result.Adopted != nil {
		hint = "its data is in the store now; " + hint
	}
	return &Refusal{
		Path: p.item.Entry.Path, Is: p.target.status.TypeName(), UID: p.target.status.UID,
		Want: "link to " + p.result.Source, Hint: hint,
	}
}

// makeLink makes the link in the directory of the target and gives it to the owner of the source. In a
// directory of theirs users can exchange it for something of root's in
// between, so the owner is changed by descriptor, of a link with the right
// text only.
func (p *placing) makeLink(name string) error {
	dir := p.target.trail.fd()
	if err := sys.MakeSymlink(p.result.Source, dir, name); err != nil {
		return err
	}
	owner := &p.source.status
	if !p.source.exists() || owner.UID == 0 && owner.GID == 0 {
		return nil
	}
	fd, err := sys.OpenComponent(dir, name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := p.checkLink(fd); err != nil {
		return err
	}
	return sys.ChangeOwner(fd, owner.UID, owner.GID)
}

func (p *placing) checkLink(fd int) error {
	status, err := sys.Stat(fd)
	if err != nil {
		return err
	}
	target := ""
	if status.IsSymlink() {
		if target, err = sys.SymlinkTarget(fd, ""); err != nil {
			return format.Errorf("readlink: %w", err)
		}
	}
	if target != p.result.Source || status.UID != 0 {
		return format.Errorf("%s was exchanged for a %s of uid %d while it was linked",
			quotePath(p.item.Entry.Path), status.TypeName(), status.UID)
	}
	return nil
}
