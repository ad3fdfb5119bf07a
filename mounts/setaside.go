package mounts

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// mostAside is how many names are tried for what is set aside: with three digits they
// have 255 bytes at most (NAME_MAX in limits.h).
const mostAside = 999

// exchangeLink puts the link into the place of what is there, which [Root.TakeIn]
// has copied, in one step: at every instant there is one or the other. What was
// there lies beside it then, under another name, and whoever has it open is not
// disturbed. Only its name in the root is lost with the root.
func (p *placing) exchangeLink() error {
	dir, name := p.target.trail.fd(), p.target.name
	aside, err := p.makeAside(dir, name)
	if err != nil {
		return err
	}
	if err := sys.RenameExchange(dir, aside, dir, name); err != nil {
		return err // the link stays beside it, for the next run
	}
	// In a directory of theirs users can put something else there meanwhile.
	was, err := sys.StatComponent(dir, aside)
	if err == nil && (was.Inode != p.target.status.Inode || was.Device != p.target.status.Device) {
		err = format.Errorf("%s was exchanged for a %s of uid %d while it was linked", quotePath(p.item.Entry.Path), was.TypeName(), was.UID)
	}
	if err != nil {
		return errors.Join(err, sys.RenameExchange(dir, aside, dir, name))
	}
	p.result.Aside = p.item.Entry.Path[:len(p.item.Entry.Path)-len(name)] + aside
	return nil
}

// makeAside makes the link under a name that nothing else has. A run that was
// interrupted may have made it already.
func (p *placing) makeAside(dir int, name string) (aside string, err error) {
	for n := 1; n <= mostAside; n++ {
		aside = format.Sprintf("%.240s.before-ebb-%s", name, strconv.Itoa(n))
		text, err := sys.ReadSymlink(dir, aside)
		switch {
		case err == nil && text == p.result.Source:
			return aside, nil
		case isMissing(err):
			return aside, p.makeLink(aside)
		case err != nil && !errors.Is(err, unix.EINVAL): // EINVAL: something else than a link
			return "", err
		}
	}
	return "", format.Errorf("there is no name left for what is at %s", quotePath(p.item.Entry.Path))
}
