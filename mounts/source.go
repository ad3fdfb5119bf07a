package mounts

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
)

// makeSource makes the source of the entry in the store: out of what an old
// root has at its path, else new. A source that exists stays as it is.
//
// A file that programs make themselves, through a link or at the target of a
// sync entry, is not made: an empty machine-id or host key would be a lie.
func (p *placing) makeSource() error {
	if p.source.exists() {
		return nil
	}
	if err := p.makeParents(&p.source, &p.target); err != nil {
		return err
	}
	adopted, err := p.adopt()
	if err != nil || adopted {
		return err
	}
	e := p.item.Entry
	if !e.Directory && e.How != config.Bind {
		return nil
	}
	return p.makeNewSource()
}

func (p *placing) makeNewSource() error {
	e := p.item.Entry
	as := entryAttributes(e, &p.run.names, p.home())
	step := Step{Verb: MakeFile, Path: p.source.path(), as: as, has: true}
	create := func() (int, error) { return makeFile(p.source.trail, p.source.name, as) }
	switch {
	case e.Subvolume && p.run.root.NewSubvolume != nil:
		step.Verb, create = MakeSubvolume, func() (int, error) { return p.makeSubvolume(as) }
	case e.Directory:
		step.Verb, create = MakeDirectory, func() (int, error) { return makeDirectory(p.source.trail, p.source.name, as) }
		if e.Subvolume {
			p.note("a plain directory, not a subvolume: the store is not on btrfs")
		}
	}
	p.result.Created, p.result.Pending = true, as.pending
	return p.act(step, func() error {
		fd, err := create()
		if err != nil {
			return err
		}
		return p.took(fd)
	})
}

// took makes fd, which was just made, the source.
func (p *placing) took(fd int) error {
	status, err := sys.Stat(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	p.source.set(fd, status)
	if p.item.Entry.NoDataCOW {
		p.setNoDataCOW()
	}
	return nil
}

// makeSubvolume makes the source as a subvolume. Where that does not work it
// is a plain directory: the worst case is that a snapshot of the store has it
// with the rest.
func (p *placing) makeSubvolume(as attributes) (int, error) {
	t, name := p.source.trail, p.source.name
	dir, err := sys.ReopenDirectory(t.fd(), unix.O_RDONLY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	if err := p.run.root.NewSubvolume(dir, name); err != nil {
		p.note("a plain directory, not a subvolume: " + err.Error())
		return makeDirectory(t, name, as)
	}
	fd, err := sys.OpenComponent(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	if err := p.finishSubvolume(fd, as); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// finishSubvolume is finishDirectory for a subvolume, which begins with the
// mode 0755.
func (p *placing) finishSubvolume(fd int, as attributes) error {
	if err := sys.ChangeMode(fd, 0o700); err != nil {
		return err
	}
	if err := checkFresh(fd); err != nil {
		return err
	}
	return setAttributes(fd, as)
}

// setNoDataCOW switches off copy-on-write for a source that is still empty.
// Only btrfs can; elsewhere there is nothing to switch off.
func (p *placing) setNoDataCOW() {
	fd, err := sys.Reopen(p.source.fd, unix.O_RDONLY|unix.O_NONBLOCK)
	if err == nil {
		err = sys.AddInodeFlags(fd, sys.NoCOW)
		unix.Close(fd)
	}
	if err != nil {
		p.note("nodatacow is not set: " + err.Error())
	}
}

func (p *placing) note(text string) { p.result.Notes = append(p.result.Notes, text) }
