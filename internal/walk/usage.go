package walk

import "github.com/ebb-nix/ebb/internal/sys"

// Usage adds up what files take.
type Usage struct {
	Files uint64 // everything but directories
	Bytes uint64 // on the disk, as du(1) counts them: each inode once

	seen map[[2]uint64]bool // inodes with several names
}

// Count adds a file.
func (u *Usage) Count(status *sys.Status) {
	if status.IsDirectory() {
		return
	}
	u.Files++
	inode := [2]uint64{status.Device, status.Inode}
	if !u.seen[inode] {
		u.Bytes += status.Blocks * 512
	}
	if status.Nlink > 1 {
		if u.seen == nil {
			u.seen = map[[2]uint64]bool{}
		}
		u.seen[inode] = true
	}
}
