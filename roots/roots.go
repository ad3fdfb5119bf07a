// Package roots is about the roots that rollbacks have archived.
package roots

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Root is one archived root.
type Root struct {
	Number     uint64        `json:"number"`
	Path       string        `json:"path"`           // below the top-level subvolume
	Info       *archive.Info `json:"info,omitempty"` // nil: it cannot be read
	Damage     string        `json:"damage,omitempty"`
	Pin        *Pin          `json:"pin,omitempty"` // it is never deleted by the retention
	Subvolumes []Subvolume   `json:"subvolumes"`
	// RanSeconds is how long the boot that had it lasted at least: from its
	// rollback to the last change in the root. 0: not known.
	RanSeconds uint64 `json:"ran_seconds,omitempty"`
	// Followed is set when the rollback of this boot has archived it, and
	// Generation is the number of the NixOS system that it ran, where that is
	// still there. The caller knows.
	Followed   bool   `json:"followed,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	// Exclusive is what only this root has, by the quotas of the file system.
	Exclusive *uint64 `json:"exclusive_bytes,omitempty"`
	// Files is what its files take, also where they share it with others, where
	// [Measure] was asked to count.
	Files *uint64 `json:"file_bytes,omitempty"`
}

// Subvolume is one of the subvolumes of an archived root.
type Subvolume struct {
	Name     string     `json:"name"`
	ID       uint64     `json:"id"`
	UUID     btrfs.UUID `json:"uuid"`
	ReadOnly bool       `json:"read_only"`

	changed time.Time
}

// List returns the archived roots, the newest first. topFd is the top-level
// subvolume, name the path of the archive below it. An archive that is not
// there is an empty one. What is damaged is listed, with what is wrong.
func List(topFd int, name string) ([]Root, error) {
	fd, err := archive.Open(topFd, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	numbers, err := archive.Numbers(fd)
	if err != nil {
		return nil, err
	}
	slices.Reverse(numbers)
	list := make([]Root, 0, len(numbers))
	for _, number := range numbers {
		list = append(list, read(fd, name, number))
	}
	return list, nil
}

func read(archiveFd int, name string, number uint64) Root {
	r := Root{Number: number, Path: path.Join(name, archive.DirectoryName(number)), Subvolumes: []Subvolume{}}
	dir, err := sys.OpenComponent(archiveFd, archive.DirectoryName(number), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		r.Damage = err.Error()
		return r
	}
	defer unix.Close(dir)
	r.Pin = readPin(dir)
	if r.Info, err = archive.ReadInfo(dir); err != nil {
		r.Damage = err.Error()
	}
	names, err := archive.Names(dir)
	if err != nil {
		r.Damage = err.Error()
		return r
	}
	for _, n := range names {
		s, ok, err := readSubvolume(dir, n)
		if err != nil {
			r.Damage = err.Error()
		}
		if ok {
			r.Subvolumes = append(r.Subvolumes, s)
			if r.Info != nil && r.Info.Previous != nil && s.changed.After(r.Info.Previous.Time) && s.changed.Before(r.Info.Archived) {
				r.RanSeconds = max(r.RanSeconds, uint64(s.changed.Sub(r.Info.Previous.Time)/time.Second))
			}
		}
	}
	if len(r.Subvolumes) == 0 && r.Damage == "" {
		r.Damage = "holds no subvolume"
	}
	return r
}

// readSubvolume looks at a name in the directory of an archived root, which need
// not be a subvolume's.
func readSubvolume(dirFd int, name string) (s Subvolume, ok bool, err error) {
	fd, err := sys.OpenComponent(dirFd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	defer unix.Close(fd)
	if is, err := btrfs.IsSubvolume(fd); err != nil || !is {
		return s, false, err
	}
	info, err := btrfs.Info(fd)
	if err != nil {
		return s, false, err
	}
	return Subvolume{Name: name, ID: info.ID, UUID: info.UUID, ReadOnly: info.Flags.IsReadOnly(), changed: info.Changed}, true, nil
}
