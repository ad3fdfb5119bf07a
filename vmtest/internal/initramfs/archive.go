// Package initramfs assembles an initrd around systemd from the files of a Debian tree, the way NixOS's systemd initrd
// is put together: real systemd as /init, real udev and journald, file systems by a sysroot fstab.
package initramfs

import (
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/ebb-nix/ebb/vmtest/files"
)

// alignment of an archive within an initrd: the kernel looks for the next one at a multiple of four bytes.
const alignment = 4

// Write appends a cpio archive with the files to w. An initrd may consist of several archives, one after the other; of
// files with one name the kernel keeps the last (Documentation/driver-api/early-userspace/buffer-format.rst).
func Write(w io.Writer, list []files.File) error {
	sorted, err := files.Sorted(withParents(list))
	if err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	counter := &countingWriter{w: w}
	out := cpio.Newc.Writer(counter)
	for _, f := range sorted {
		rec, err := record(f)
		if err != nil {
			return fmt.Errorf("write initrd: %w", err)
		}
		if err := out.WriteRecord(rec); err != nil {
			return fmt.Errorf("write initrd: %s: %w", f.Path, err)
		}
	}
	if err := cpio.WriteTrailer(out); err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	if _, err := counter.Write(make([]byte, -counter.n&(alignment-1))); err != nil {
		return fmt.Errorf("write initrd: %w", err)
	}
	return nil
}

// record turns a file into a cpio record. Times are left at zero: equal contents give equal archives.
func record(f files.File) (cpio.Record, error) {
	perm := uint64(f.Perm().Perm())
	if f.Perm()&fs.ModeSticky != 0 {
		perm |= 0o1000
	}
	var rec cpio.Record
	switch {
	case f.Link != "":
		rec = cpio.Symlink(f.Path, f.Link)
	case f.Mode.IsDir():
		rec = cpio.Directory(f.Path, perm)
	default:
		data, err := f.Contents()
		if err != nil {
			return cpio.Record{}, err
		}
		rec = cpio.StaticFile(f.Path, string(data), perm)
	}
	rec.UID, rec.GID = uint64(f.UID), uint64(f.GID)
	return rec, nil
}

// withParents puts the directories that are missing above files in front, where an explicit entry overrides them: the
// kernel makes no parents.
func withParents(list []files.File) []files.File {
	var all []files.File
	seen := map[string]bool{".": true, "/": true}
	for _, f := range list {
		for dir := path.Dir(path.Join("/", f.Path)); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			all = append(all, files.Dir(dir, 0o755))
		}
	}
	return append(all, list...)
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
