package mounts

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

func isMissing(err error) bool { return errors.Is(err, unix.ENOENT) }

// makeParents makes the directories that are missing above one side of the
// entry. Each is like its counterpart on the other side, where there is one.
func (p *placing) makeParents(s, other *side) error {
	for s.missing != "" {
		name, rest, _ := strings.Cut(s.missing, "/")
		path := s.dir[:len(s.dir)-len(s.missing)+len(name)]
		if err := p.makeParent(s, other, path, name); err != nil {
			return err
		}
		s.missing = rest
	}
	return nil
}

func (p *placing) makeParent(s, other *side, path, name string) error {
	shown := s.trail.prefix + path
	if p.run.planned[shown] {
		return nil
	}
	as := p.attributesOfParent(other, path)
	if p.run.dry {
		p.run.planned[shown] = true
	}
	return p.act(Step{Verb: MakeDirectory, Path: shown, as: as, has: true}, func() error {
		fd, err := p.makeParentDirectory(s.trail, name, as)
		if errors.Is(err, unix.EEXIST) {
			// Somebody was faster: systemd makes mount points meanwhile.
			if fd, err = s.trail.openStep(name); err == nil {
				s.trail.push(name, fd)
			}
			return err
		}
		if err != nil {
			return err
		}
		s.trail.pushMade(name, fd, as)
		return nil
	})
}

// makeParentDirectory makes a directory of a store whole or not at all: it
// outlives the boot. One of the root is gone with it.
func (p *placing) makeParentDirectory(t *trail, name string, as attributes) (int, error) {
	if !t.lasting || isOneStep(t, as) {
		return makeDirectory(t, name, as)
	}
	if err := p.removeStale(t, name); err != nil {
		return -1, err
	}
	return stage(t, name, func(t *trail, name string) (int, error) { return makeDirectory(t, name, as) })
}

func (p *placing) attributesOfParent(other *side, path string) attributes {
	depth := strings.Count(path, "/")
	if status, found := other.trail.status(depth); found {
		as := attributesOf(&status)
		as.pending = other.trail.note(depth)
		return as
	}
	return parentAttributes(path, p.item.Entry, &p.run.names, p.home())
}

// home describes the home directory that the entry lies in: the one in the
// root, else the one in the store, nil when neither is there or has its owner.
func (p *placing) home() *sys.Status {
	home, below := splitHome(p.item.Entry.Path)
	if !below {
		return nil
	}
	depth := strings.Count(home, "/")
	for _, s := range []*side{&p.target, &p.source} {
		if s.trail == nil {
			continue
		}
		if status, found := s.trail.status(depth); found && s.trail.note(depth) == "" {
			return &status
		}
	}
	return nil
}

// makeDirectory makes the directory name where the trail is, and opens it. It
// has its owner and its mode before anybody but root can enter it.
func makeDirectory(t *trail, name string, as attributes) (int, error) {
	parent, known := t.status(t.depth())
	if !known {
		parent.Mode = 0o777 // as bad as it can be
	}
	if mkdirSuffices(&parent, as) {
		if err := sys.MakeDirectory(t.fd(), name, as.mode); err != nil {
			return -1, err
		}
		return sys.OpenComponent(t.fd(), name, unix.O_PATH|unix.O_DIRECTORY)
	}
	if err := sys.MakeDirectory(t.fd(), name, 0o700); err != nil {
		return -1, err
	}
	fd, err := sys.OpenComponent(t.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	if err := finishDirectory(fd, &parent, as); err != nil {
		unix.Close(fd)
		// Only an empty directory goes away by this. Left where it is, the
		// next run would take it for a source that somebody wanted so.
		return -1, errors.Join(format.Errorf("make directory %q: %w", name, err), sys.Remove(t.fd(), name))
	}
	return fd, nil
}

// mkdirSuffices reports whether mkdir(2) alone makes a directory with these
// attributes, in a directory that nobody else can write to: root's group is
// not passed on (set-group-id), and the mode has no bits that mkdir ignores.
func mkdirSuffices(parent *sys.Status, as attributes) bool {
	return isRootsOwn(parent) && parent.Mode&unix.S_ISGID == 0 &&
		as.uid == 0 && as.gid == 0 && as.mode&^0o1777 == 0 && as.pending == ""
}

// isRootsOwn reports whether only root can change names in a directory.
func isRootsOwn(dir *sys.Status) bool { return dir.UID == 0 && dir.Mode&0o022 == 0 }

// finishDirectory gives a directory that was just made its owner and mode. In
// a directory that others can write to they may have exchanged the new one for
// another, which must not become theirs, so it has to be what was just made:
// root's, 0700, and empty.
func finishDirectory(fd int, parent *sys.Status, as attributes) error {
	if !isRootsOwn(parent) {
		if err := sys.CheckFresh(fd); err != nil {
			return err
		}
	}
	return setAttributes(fd, as)
}

// setAttributes gives owner and mode to what root has just made, the mode
// last: until then it is root's alone, and chown takes away set-id bits.
func setAttributes(fd int, as attributes) error {
	if as.pending != "" {
		err := sys.SetXattr(fd, pendingXattr, []byte(as.pending))
		// A file system without attributes forgets what it is waiting for. The
		// worst case is a directory that stays root's; the result says so.
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	sys.DropACLs(fd)
	if err := sys.ChangeOwner(fd, as.uid, as.gid); err != nil {
		return err
	}
	return sys.ChangeMode(fd, as.mode)
}

// makeFile makes the empty regular file name where the trail is, and opens it
// for writing.
func makeFile(t *trail, name string, as attributes) (int, error) {
	if isOneStep(t, as) && as.mode&^0o777 == 0 {
		return sys.CreateComponent(t.fd(), name, unix.O_WRONLY, as.mode)
	}
	fd, err := sys.CreateComponent(t.fd(), name, unix.O_WRONLY, 0o600)
	if err != nil {
		return -1, err
	}
	if err := setAttributes(fd, as); err != nil {
		unix.Close(fd)
		return -1, errors.Join(format.Errorf("make file %q: %w", name, err), sys.Remove(t.fd(), name))
	}
	return fd, nil
}
