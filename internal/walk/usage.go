package walk

import "github.com/ebb-nix/ebb/internal/sys"

// Usage adds up what files take.
type Usage struct {
	Files uint64 `json:"files"` // everything but directories
	Bytes uint64 `json:"bytes"` // on the disk, as du(1) counts them: each inode once

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

// Of adds an open file, or directory with everything below it. The error is that
// of [Usage.Tree].
func (u *Usage) Of(fd int) error {
	status, err := sys.Stat(fd)
	if err != nil || !status.IsDirectory() {
		u.Count(&status)
		return err
	}
	return u.Tree(fd)
}

// Tree adds everything below a directory. What goes away meanwhile counts
// nothing; the error has what could not be read.
func (u *Usage) Tree(dirFd int) error {
	w := Walk{Visit: func(w *Walk, name string, _ uint8) (bool, uint64, error) {
		if status, err := w.Stat(name); err == nil {
			u.Count(&status)
		}
		return true, 0, nil
	}}
	return w.Tree(dirFd, 0)
}
