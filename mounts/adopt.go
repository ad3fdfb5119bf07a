package mounts

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/sys"
)

// oldRoot is the root that was archived in this boot, opened when it is first
// asked for.
type oldRoot struct {
	asked bool
	fd    int
	err   error
	trail trail
}

func (o *oldRoot) open(find func() (int, error)) {
	o.asked, o.fd = true, -1
	if find == nil {
		return
	}
	if o.fd, o.err = find(); o.err != nil {
		o.fd = -1
		return
	}
	o.trail = trail{base: o.fd, prefix: "the old root: "}
}

func (o *oldRoot) close() {
	o.trail.close()
	if o.asked && o.fd >= 0 {
		unix.Close(o.fd)
	}
}

// adopt makes the source a copy of what is at the entry's path in the old root
// or, where there is no such, in the root itself: a new entry must not hide
// what is there already. It reports whether there is a source now.
func (p *placing) adopt() (bool, error) {
	var old side
	defer old.close()
	if err := p.findOld(&old); err != nil {
		p.result.Adoption = "skipped: " + err.Error()
	}
	if old.exists() {
		err := p.copySource(&old, "the old root")
		if err != nil {
			// The data is safe where it is, the archive. The worst case is a
			// boot with an empty entry, which the result tells.
			p.result.Adoption = adoptionText(err, p.item.Entry.Path)
		}
		return err == nil, nil
	}
	hasData, err := p.targetHasData()
	if err != nil || !hasData {
		return false, err
	}
	if err := p.copySource(&p.target, "the root"); err != nil {
		return false, fmt.Errorf("%s stays as it is, outside of the store, because its data could not be copied: %w",
			quotePath(p.item.Entry.Path), err)
	}
	return true, nil
}

func adoptionText(err error, path string) string {
	verb := "failed"
	if errors.Is(err, copytree.ErrTooLarge) {
		verb = "skipped"
	}
	return fmt.Sprintf("%s: %v; the data is in the old root, get it with: ebb restore %s", verb, err, quotePath(path))
}

// findOld looks into the old root.
func (p *placing) findOld(old *side) error {
	o := &p.run.old
	if !o.asked {
		o.open(p.run.root.OldRoot)
	}
	if o.fd < 0 {
		return o.err
	}
	err := old.look(&o.trail, p.item.Entry)
	if err != nil && p.isOwnLink(old) {
		return nil
	}
	return err
}

// isOwnLink reports whether what is there is the link to the source that an
// earlier boot made.
func (p *placing) isOwnLink(s *side) bool {
	if s.missing != "" {
		return false
	}
	text, err := sys.ReadSymlink(s.trail.fd(), s.name)
	return err == nil && text == p.result.Source
}

// targetHasData reports whether something would be hidden by a new source: a
// directory that is not empty, a file that is not.
func (p *placing) targetHasData() (bool, error) {
	t := &p.target
	if !t.exists() {
		return false, nil
	}
	if !p.item.Entry.Directory {
		return t.status.Size > 0, nil
	}
	fd, err := sys.ReopenDirectory(t.fd, unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	empty, err := isEmpty(fd)
	return !empty, err
}

// copySource copies to a temporary name beside the source, makes the copy
// durable, and only then gives it its name: a power cut leaves no half source
// that a later boot would take for a whole one.
func (p *placing) copySource(from *side, where string) error {
	name := sys.TemporaryName(p.source.name)
	if err := p.removeStale(name); err != nil {
		return err
	}
	step := Step{Verb: AdoptData, Path: p.source.path(), From: where}
	if p.run.dry {
		// The plan goes on with what the source would be a copy of.
		if fd, err := unix.FcntlInt(uintptr(from.fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			p.source.set(fd, from.status)
		}
	}
	return p.act(step, func() error {
		adopt := &p.run.root.Adopt
		fd, stats, err := copytree.Copy(from.fd, p.source.trail.fd(), name, copytree.Options{
			Limit: copytree.Limit{Files: adopt.Files, Copied: adopt.CopiedBytes},
			// It was root's tree all along, and comes back to its place.
			SetID: true, Devices: true,
		})
		if err != nil {
			return err
		}
		if err := p.publish(fd, name); err != nil {
			unix.Close(fd)
			return errors.Join(err, copytree.Remove(p.source.trail.fd(), name))
		}
		p.result.Created, p.result.Adopted = true, &stats
		return nil
	})
}

// publish gives the whole copy, open as fd, the name of the source.
func (p *placing) publish(fd int, temporary string) error {
	dir := p.source.trail.fd()
	if err := sys.SyncFilesystem(fd); err != nil {
		return err
	}
	if err := sys.RenameNoReplace(dir, temporary, dir, p.source.name); err != nil {
		return err
	}
	status, err := sameName(dir, p.source.name, fd)
	if err != nil {
		return fmt.Errorf("%s was exchanged while it was adopted: %w", quotePath(p.source.path()), err)
	}
	p.source.set(fd, status)
	return nil
}

// sameName makes sure that name leads to what fd is open on.
func sameName(dirFd int, name string, fd int) (sys.Status, error) {
	status, err := sys.Stat(fd)
	if err != nil {
		return status, err
	}
	there, err := sys.StatComponent(dirFd, name)
	if err == nil && !there.SameInode(&status) {
		err = fmt.Errorf("a %s of uid %d stands there", there.TypeName(), there.UID)
	}
	return status, err
}

// removeStale removes the copy that a killed run left behind. It belongs to
// root until it is whole; somebody else's is not touched.
func (p *placing) removeStale(name string) error {
	if p.source.missing != "" {
		return nil // of a dry run: not even the directory is there
	}
	dir := p.source.trail.fd()
	status, err := sys.StatComponent(dir, name)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	path := p.source.trail.prefix + join(p.source.dir, name)
	if status.UID != 0 {
		return &Refusal{
			Path: path, Is: status.TypeName(), UID: status.UID, Want: "free name for a copy",
			Hint: "remove it",
		}
	}
	return p.act(Step{Verb: RemoveStale, Path: path}, func() error { return copytree.Remove(dir, name) })
}
