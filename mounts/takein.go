package mounts

import (
	"github.com/ebb-nix/ebb/internal/format"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
)

// TakeIn copies what is at the targets into the stores, durably, as [Root.Take]
// does it, and brings nothing into place. What a store has is never touched:
// an entry whose source is there has failed.
func (r *Root) TakeIn() Report { return r.each(false, all, (*placing).takeIn) }

// PlanTakeIn says what TakeIn would do now, and does nothing.
func (r *Root) PlanTakeIn() Report { return r.each(true, all, (*placing).takeIn) }

func (p *placing) takeIn() error {
	if err := p.lookAtSource(); err != nil {
		return err
	}
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	path := quotePath(p.item.Entry.Path)
	switch {
	case p.source.exists():
		return format.Errorf("%s is there already", quotePath(p.result.Source))
	case !p.target.exists():
		return format.Errorf("there is no %s", path)
	case p.target.status.IsMountRoot():
		return format.Errorf("something is mounted on %s", path)
	}
	if err := p.makeParents(&p.source, &p.target); err != nil {
		return err
	}
	return p.copySource(&p.target, p.item.Entry.Path)
}

// Both says how what is at the target of an entry and what the store has of it
// stand to each other.
type Both struct {
	Source, Target bool // there is such
	InPlace        bool // they are the same already
	Holds          bool // the target holds something: it is not empty
	Differences    copytree.Differences
	Err            error
}

// Compare holds the targets of the entries against their sources, contents and
// all, and changes nothing. The results are in the order of [Order]. A target
// that is no directory or file as the entry has it, or a source, is an error.
func (r *Root) Compare(want func(*config.Entry) bool) (results []Both) {
	r.each(true, want, func(p *placing) error {
		b := Both{}
		b.Err = p.compare(&b)
		results = append(results, b)
		return nil
	})
	return results
}

func (p *placing) compare(b *Both) error {
	if err := p.lookAtSource(); err != nil {
		return err
	}
	if p.item.Entry.How == config.Symlink {
		if err := p.target.enter(&p.run.target, p.item.Entry.Path); err != nil {
			return err
		}
		if p.target.missing == "" && p.isOwnLink(&p.target) {
			b.Source, b.Target, b.InPlace = p.source.exists(), true, true
			return nil
		}
	}
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	b.Source, b.Target = p.source.exists(), p.target.exists()
	b.InPlace = p.isMounted() || p.isCovered()
	if b.InPlace || !b.Target {
		return nil
	}
	var err error
	if b.Holds, err = p.target.hasData(); err != nil || !b.Holds || !b.Source {
		return err
	}
	b.Differences, err = copytree.Compare(p.target.fd, p.source.fd, copytree.Options{SetID: true, Devices: true})
	return err
}
