package roots

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// prove looks at everything in the directory of an archived root, at where,
// and returns all its subvolumes in the order in which they can be deleted, or
// why nothing of it may be. With byName a directory whose meta.json is not
// there, or damaged, will do.
func (r *Remover) prove(dirFd int, where string, byName bool) ([]btrfs.Subvolume, error) {
	names, err := archive.Names(dirFd)
	if err != nil {
		return nil, err
	}
	info, err := archive.ReadInfo(dirFd)
	if err != nil && !byName {
		return nil, &RefusedError{where, err.Error()}
	}
	var order []btrfs.Subvolume
	for _, name := range names {
		if slices.Contains(ownFiles(), name) {
			continue
		}
		member, err := r.proveMember(dirFd, where, name, info)
		if err != nil {
			return nil, err
		}
		inside, err := r.listing.Descendants(member.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range inside {
			// Ids of subvolumes ascend (btrfs.TopLevelID).
			if s.ID < member.ID {
				return nil, &RefusedError{path.Join(where, name), format.Sprintf("%q in it is older than it and was moved there by hand: move it out", s.Name)}
			}
		}
		order = append(append(order, inside...), member)
	}
	return order, r.proveUnused(order, where)
}

// proveMember proves that name is one of the subvolumes that the archived root
// is made of, and that it lies where it seems to.
func (r *Remover) proveMember(dirFd int, where, name string, info *archive.Info) (btrfs.Subvolume, error) {
	refuse := func(reason string) (btrfs.Subvolume, error) {
		return btrfs.Subvolume{}, &RefusedError{path.Join(where, name), reason}
	}
	const foreign = "it was not put there by ebb"
	fd, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return refuse(foreign)
	case err != nil:
		return refuse(err.Error())
	}
	defer unix.Close(fd)
	is, err := btrfs.IsSubvolume(fd)
	switch {
	case err != nil:
		return refuse(err.Error())
	case !is:
		return refuse(foreign)
	}
	found, err := btrfs.Info(fd)
	if err != nil {
		return refuse(err.Error())
	}
	if !r.isKnown(name, found.UUID, info) {
		return refuse("it is not the subvolume that was archived there")
	}
	directory, err := sys.Stat(dirFd)
	if err != nil {
		return refuse(err.Error())
	}
	listed, ok := r.listing.ByID(found.ID)
	if !ok || listed.UUID != found.UUID || !r.isMember(listed) || listed.DirectoryID != directory.Inode {
		return refuse("the list of subvolumes has it at another place")
	}
	return listed, nil
}

// isKnown reports whether the rollback that made this directory knew the
// subvolume: as the old one, or as the fresh one when it was dropped.
func (r *Remover) isKnown(name string, uuid btrfs.UUID, info *archive.Info) bool {
	if info == nil {
		return slices.Contains(r.Members, name)
	}
	told, ok := info.Member(name)
	return ok && (told.Old == uuid || told.Fresh == uuid)
}

// proveUnused refuses when any of the subvolumes is in use.
func (r *Remover) proveUnused(order []btrfs.Subvolume, where string) error {
	for _, s := range order {
		at, err := r.listing.Path(s.ID)
		if err != nil {
			at = "" // too deep for the kernel, so for a mount as well
		}
		switch {
		case s.ID == btrfs.TopLevelID:
			return &RefusedError{where, "it is the top-level subvolume"}
		case s.ID == r.defaultID:
			return &RefusedError{at, "it is the default subvolume of the file system"}
		}
		for _, p := range r.Protected {
			if at != "" && (p.Path == at || strings.HasPrefix(p.Path, at+"/")) {
				return &RefusedError{at, p.Why}
			}
		}
	}
	return nil
}
