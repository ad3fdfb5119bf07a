package roots

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
)

// Measure says how large archived roots are: what each has for itself, where
// quotas are on, and with count what its files take, for which it looks at
// all of them. topFd is the top-level subvolume.
func Measure(topFd int, list []Root, count bool) error {
	exclusive, err := btrfs.Exclusive(topFd)
	if err != nil || exclusive == nil && !count {
		return err
	}
	listing, err := btrfs.List(topFd)
	for i := range list {
		r := &list[i]
		var own uint64
		for _, s := range r.Subvolumes {
			inside, _ := listing.Descendants(s.ID)
			for _, s := range append(inside, btrfs.Subvolume{ID: s.ID}) {
				own += exclusive[s.ID]
			}
		}
		if exclusive != nil {
			r.Exclusive = &own
		} else if err == nil {
			r.Files, err = countFiles(topFd, r.Path)
		}
	}
	return err
}

func countFiles(topFd int, path string) (*uint64, error) {
	dir, err := sys.OpenBeneath(topFd, path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	var usage walk.Usage
	return &usage.Bytes, usage.Tree(dir)
}
