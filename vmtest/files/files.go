// Package files describes the contents of file trees as data: what goes into an initrd, onto a disk, into /etc.
package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// File is one entry of a tree: a regular file, a directory, or a symbolic link.
type File struct {
	// Path in the tree. A leading slash makes no difference.
	Path string
	// Mode holds the permission bits, with fs.ModeDir for a directory. Zero means 0644, or 0755 for a directory.
	Mode fs.FileMode
	// UID and GID own the entry.
	UID, GID int
	// Data is the contents of a regular file.
	Data string
	// Source is a file on the host whose contents are taken instead of Data.
	Source string
	// Link, when not empty, makes the entry a symbolic link to it.
	Link string
}

// Dir is a directory.
func Dir(path string, mode fs.FileMode) File {
	return File{Path: path, Mode: fs.ModeDir | mode}
}

// Text is a regular file with mode 0644.
func Text(path, data string) File {
	return File{Path: path, Mode: 0o644, Data: data}
}

// Program is an executable regular file, copied from a file on the host.
func Program(path, source string) File {
	return File{Path: path, Mode: 0o755, Source: source}
}

// Symlink is a symbolic link.
func Symlink(path, target string) File {
	return File{Path: path, Link: target}
}

// Name is the path without slashes at either end, or an error when it would leave the tree.
func (f File) Name() (string, error) {
	name := strings.Trim(f.Path, "/")
	if !fs.ValidPath(name) || name == "." {
		return "", fmt.Errorf("path %q does not name a file in a tree", f.Path)
	}
	return name, nil
}

// Perm is the mode without the type, with the default put in.
func (f File) Perm() fs.FileMode {
	if perm := f.Mode &^ fs.ModeType; perm != 0 {
		return perm
	}
	if f.Mode.IsDir() {
		return 0o755
	}
	return 0o644
}

// Contents are the bytes of a regular file.
func (f File) Contents() ([]byte, error) {
	if f.Source == "" {
		return []byte(f.Data), nil
	}
	return os.ReadFile(f.Source)
}

// Sorted returns the files ordered by name, parents before children. Of two with one name the later one stays, so that
// what is appended overrides.
func Sorted(list []File) ([]File, error) {
	byName := map[string]File{}
	for _, f := range list {
		name, err := f.Name()
		if err != nil {
			return nil, err
		}
		f.Path = name
		byName[name] = f
	}
	sorted := make([]File, 0, len(byName))
	for _, f := range byName {
		sorted = append(sorted, f)
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Path < sorted[j].Path })
	return sorted, nil
}

// Write makes the tree below dir. Owners are not set: whoever builds a disk image owns its staging directory.
func Write(dir string, list []File) error {
	sorted, err := Sorted(list)
	if err != nil {
		return err
	}
	for _, f := range sorted {
		if err := f.write(filepath.Join(dir, f.Path)); err != nil {
			return err
		}
	}
	return nil
}

func (f File) write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch {
	case f.Link != "":
		return os.Symlink(f.Link, path)
	case f.Mode.IsDir():
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	default:
		data, err := f.Contents()
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(path, f.Perm()) // the umask had its say in the calls above
}
