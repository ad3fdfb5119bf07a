package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// filesPerDirectory is how the files of an old root are spread.
const filesPerDirectory = 1000

// make fills an empty file system: @ with files in it, and @blank.
func (g *rollbackGround) make(top, files int) error {
	for _, name := range []string{"@", "empty"} {
		if err := btrfs.CreateSubvolume(top, name); err != nil {
			return err
		}
	}
	if err := withDirectory(top, "empty", func(empty int) error {
		return btrfs.Snapshot(top, "@blank", empty, true)
	}); err != nil {
		return err
	}
	return withDirectory(top, "@", func(root int) error {
		info, err := btrfs.Info(root)
		if err != nil {
			return err
		}
		g.old = info.UUID
		return makeFiles(root, files)
	})
}

// nest puts subvolumes into the old root.
func (g *rollbackGround) nest(top int) error {
	if err := g.putBack(top); err != nil {
		return err
	}
	g.nested = nestedSubvolumes
	return withDirectory(top, "@", func(root int) error { return makeSubvolumes(root, g.nested) })
}

func withDirectory(dir int, name string, do func(fd int) error) error {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	return do(fd)
}

// makeFiles makes empty files: what is in a file is never looked at.
func makeFiles(root, files int) error {
	for first := 0; first < files; first += filesPerDirectory {
		name := fmt.Sprintf("files-%d", first/filesPerDirectory)
		if err := unix.Mkdirat(root, name, 0o755); err != nil {
			return err
		}
		err := withDirectory(root, name, func(dir int) error {
			for i := range min(filesPerDirectory, files-first) {
				if err := unix.Mknodat(dir, fmt.Sprintf("file-%d", i), unix.S_IFREG|0o644, 0); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func nestedName(i int) string { return fmt.Sprintf("subvolume-%d", i) }

func makeSubvolumes(root, count int) error {
	for i := range count {
		if err := btrfs.CreateSubvolume(root, nestedName(i)); err != nil {
			return err
		}
	}
	return nil
}

// reset brings the old root back to @, and empties @roots. Fresh roots are
// moved aside: to delete them would keep the file system busy for a while.
func (g *rollbackGround) reset(top int, copied bool) error {
	if err := g.putBack(top); err != nil {
		return err
	}
	roots := filepath.Join(g.disk.dir, "@roots")
	if err := errors.Join(os.RemoveAll(roots), os.Mkdir(roots, 0o700)); err != nil {
		return err
	}
	if !copied {
		return nil
	}
	if err := unix.Renameat(top, "@", top, "original"); err != nil {
		return fmt.Errorf("move the old root: %w", err)
	}
	err := withDirectory(top, "original", func(original int) error { return btrfs.Snapshot(top, "@", original, false) })
	if err != nil {
		return err
	}
	return withDirectory(top, "@", func(root int) error {
		for i := range g.nested {
			// Where the original has a subvolume a snapshot has a directory.
			if err := unix.Unlinkat(root, nestedName(i), unix.AT_REMOVEDIR); err != nil {
				return fmt.Errorf("rmdir %s: %w", nestedName(i), err)
			}
		}
		return makeSubvolumes(root, g.nested)
	})
}

func (g *rollbackGround) putBack(top int) error {
	path, err := g.oldPath(top)
	if err != nil || path == "@" {
		return err
	}
	g.aside++
	if err := unix.Renameat(top, "@", top, fmt.Sprintf("aside-%d", g.aside)); err != nil {
		return fmt.Errorf("move the fresh root aside: %w", err)
	}
	if err := withDirectory(top, path, func(old int) error { return btrfs.SetReadOnly(old, false) }); err != nil {
		return err
	}
	if err := unix.Renameat(top, path, top, "@"); err != nil {
		return fmt.Errorf("put the old root back: %w", err)
	}
	return nil
}
