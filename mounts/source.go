package mounts

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
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
	create := func(t *trail, name string) (int, error) { return makeFile(t, name, as) }
	switch {
	case e.Subvolume && p.run.root.NewSubvolume != nil:
		step.Verb, create = MakeSubvolume, func(t *trail, name string) (int, error) { return p.makeSubvolume(t, name, as) }
	case e.Directory:
		step.Verb, create = MakeDirectory, func(t *trail, name string) (int, error) { return makeDirectory(t, name, as) }
		if e.Subvolume {
			p.note("a plain directory, not a subvolume: the store is not on btrfs")
		}
	}
	p.result.Created, p.result.Pending = true, as.pending
	finish := func(t *trail, name string) (int, error) {
		fd, err := create(t, name)
		if err == nil && e.NoDataCOW {
			p.setNoDataCOW(fd)
		}
		// Later boots find the source, and look for data no more.
		if err == nil && p.left != 0 && copytree.WriteLeft(fd, p.left) == nil {
			p.result.Left = p.left
		}
		return fd, err
	}
	oneStep := isOneStep(p.source.trail, as) && step.Verb != MakeSubvolume && !e.NoDataCOW
	var err error
	if p.source.missing == "" && (!oneStep || p.left != 0) {
		err = p.removeStale(p.source.trail, p.source.name)
	}
	// Where the staging name is taken the worst case is a source without a note,
	// by a power cut in between.
	if oneStep && (p.left == 0 || err != nil) {
		return p.act(step, func() error { return p.tookWith(finish(p.source.trail, p.source.name)) })
	}
	if err != nil {
		return err
	}
	return p.act(step, func() error {
		err := p.tookWith(stage(p.source.trail, p.source.name, finish))
		if err == nil && p.left != 0 {
			err = p.nameSource()
		}
		return err
	})
}

// nameSource makes the name of a source durable that no boot makes again. The
// store may lie on another disk than the root, which is about to say that it has
// all of its entries, so that no later boot looks for their data.
func (p *placing) nameSource() error { return sys.SyncDirectory(p.source.trail.fd()) }

func (p *placing) tookWith(fd int, err error) error {
	if err != nil {
		return err
	}
	return p.took(fd)
}

// took makes fd, which was just made, the source.
func (p *placing) took(fd int) error {
	status, err := sys.Stat(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	p.source.set(fd, status)
	return nil
}

// makeSubvolume makes the source as a subvolume. Where that does not work it
// is a plain directory: the worst case is that a snapshot of the store has it
// with the rest.
func (p *placing) makeSubvolume(t *trail, name string, as attributes) (int, error) {
	if err := p.run.root.NewSubvolume(t.fd(), name); err != nil {
		p.note("a plain directory, not a subvolume: " + err.Error())
		return makeDirectory(t, name, as)
	}
	fd, err := sys.OpenComponent(t.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	if err := setAttributes(fd, as); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// setNoDataCOW switches off copy-on-write for a source that is still empty.
// Only btrfs can; elsewhere there is nothing to switch off.
func (p *placing) setNoDataCOW(path int) {
	fd, err := sys.Reopen(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err == nil {
		err = sys.AddInodeFlags(fd, sys.NoCOW)
		unix.Close(fd)
	}
	if err != nil {
		p.note("nodatacow is not set: " + err.Error())
	}
}

func (p *placing) note(text string) { p.result.Notes = append(p.result.Notes, text) }
