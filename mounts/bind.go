package mounts

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// bind mounts the source on the target.
func (p *placing) bind() error {
	if err := p.target.look(&p.run.target, p.item.Entry); err != nil {
		return err
	}
	if p.isMounted() || p.isCovered() {
		p.result.State = Already
		p.mark()
		return nil
	}
	if err := p.makeSource(); err != nil {
		return err
	}
	if err := p.makeTarget(); err != nil {
		return err
	}
	step := Step{Verb: MountBind, Path: p.item.Entry.Path, From: p.result.Source}
	if err := p.act(step, p.attach); err != nil {
		return err
	}
	if p.run.dry {
		p.run.target.graft(p.item.Entry.Path, p.source.fd)
	}
	p.mark()
	return nil
}

// isMounted reports whether the target already is a mount of the source.
// STATX_ATTR_MOUNT_ROOT, Linux 5.8.
func (p *placing) isMounted() bool {
	s, t := &p.source, &p.target
	return s.exists() && t.exists() && t.status.IsMountRoot() &&
		t.status.SameInode(&s.status) && t.status.MountID != s.status.MountID
}

// isCovered reports whether the target is a mount of the source that something
// else is mounted on, as systemd does with /etc/machine-id. Another mount on
// top would hide that.
func (p *placing) isCovered() bool {
	if !p.source.exists() || !p.target.exists() || !p.target.status.IsMountRoot() {
		return false
	}
	own, err := p.run.table.find(p.source.status.MountID)
	if err != nil {
		return false
	}
	root, inside := rootInside(&own, p.run.rootPath()+p.result.Source)
	if !inside || !p.run.table.has(p.run.rootPath()+p.item.Entry.Path, root, &own) {
		return false
	}
	p.result.Reason = "another mount covers it"
	return true
}

// makeTarget makes the mount point, with the owner and the mode of the source,
// so that the root looks right even without the mount.
func (p *placing) makeTarget() error {
	if p.target.exists() {
		return nil
	}
	if err := p.makeParents(&p.target, &p.source); err != nil {
		return err
	}
	as := attributesOf(&p.source.status)
	if p.run.dry && !p.source.exists() {
		as = entryAttributes(p.item.Entry, &p.run.names, p.home())
	}
	step := Step{Verb: MakeFile, Path: p.item.Entry.Path, as: as, has: true}
	if p.item.Entry.Directory {
		step.Verb = MakeDirectory
	}
	return p.act(step, func() error {
		err := p.makeMountPoint(as)
		if errors.Is(err, unix.EEXIST) {
			return p.openTarget() // somebody was faster
		}
		return err
	})
}

// makeMountPoint makes the mount point and opens it, unless nobody but root
// can exchange it for something else.
func (p *placing) makeMountPoint(as attributes) (err error) {
	t, fd := &p.target, -1
	parent, known := t.trail.status(t.trail.depth())
	switch {
	case !p.item.Entry.Directory:
		fd, err = makeFile(t.trail, t.name, as)
	case known && mkdirSuffices(&parent, as):
		return sys.MakeDirectory(t.trail.fd(), t.name, as.mode)
	default:
		fd, err = makeDirectory(t.trail, t.name, as)
	}
	if err == nil {
		t.set(fd, sys.Status{})
	}
	return err
}

// isSafe reports whether only root can change names beside the target.
func (p *placing) isSafe() bool {
	t := p.target.trail
	parent, known := t.status(t.depth())
	return known && isRootsOwn(&parent)
}

// openTarget opens a target that is there by now.
func (p *placing) openTarget() error {
	t, e := &p.target, p.item.Entry
	fd, status, err := openEntry(t.trail.fd(), t.name, e.Path, e.Directory)
	if err == nil {
		t.set(fd, status)
	}
	return err
}

// attach makes the mount. In a directory that others can write to names can be
// exchanged at any time, so it makes sure there that the mount is what stands
// at the target afterwards.
func (p *placing) attach() error {
	tree, err := p.mountTree()
	if err != nil {
		return format.Errorf("mount %s on %s: %w", quotePath(p.result.Source), quotePath(p.item.Entry.Path), err)
	}
	defer unix.Close(tree)
	if p.isSafe() && !p.run.legacy {
		return nil
	}
	return p.verify(tree)
}

// verify takes the mount away again when it is not at the target.
func (p *placing) verify(tree int) error {
	status, err := sys.StatComponent(p.target.trail.fd(), p.target.name)
	if err == nil && (!status.SameInode(&p.source.status) || !status.IsMountRoot()) {
		err = format.Errorf("a %s of uid %d stands there", status.TypeName(), status.UID)
	}
	if err == nil {
		return nil
	}
	err = format.Errorf("%s was exchanged while it was mounted: %w", quotePath(p.item.Entry.Path), err)
	if detachErr := sys.Detach(tree); detachErr != nil {
		return format.Errorf("%w; and the mount stays where it is: %w", err, detachErr)
	}
	return err
}

// mountTree attaches a clone of the source's mount to the target and returns
// a descriptor of it.
func (p *placing) mountTree() (int, error) {
	change := mountChange(p.item.Entry.Options)
	if p.run.legacy {
		return p.mountOld(change)
	}
	tree, err := newTree(p.source.fd, change)
	if sys.NoSuchCall(err) {
		p.run.legacy = true
		return p.mountOld(change)
	}
	if err != nil {
		return -1, err
	}
	if p.target.exists() {
		err = sys.MoveMount(tree, p.target.fd)
	} else {
		err = sys.MoveMountTo(tree, p.target.trail.fd(), p.target.name)
	}
	if err != nil {
		unix.Close(tree)
		return -1, err
	}
	return tree, nil
}

// newTree clones the mount that fd lies in, rooted at fd, and changes the
// clone while nobody can see it. A clone begins in the peer group of the
// original (mount_namespaces(7)): left there, whatever is mounted below the
// target would show up in the store, too. Attached below a shared mount it
// becomes shared again, with a group of its own.
func newTree(fd int, c change) (int, error) {
	tree, err := sys.OpenTree(fd)
	if err != nil {
		return -1, err
	}
	if err := sys.MountSetattr(tree, c.set, c.clear, unix.MS_PRIVATE); err != nil {
		unix.Close(tree)
		return -1, err
	}
	return tree, nil
}
