package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// Tree makes files below dir, one for each spec, in order:
//
//	dir PATH [MODE [UID:GID]]
//	subvolume PATH [MODE [UID:GID]]
//	file PATH [MODE [UID:GID [CONTENT...]]]
//	fifo PATH [MODE [UID:GID]]
//	link PATH TARGET
//	hardlink PATH EXISTING
//	xattr PATH NAME VALUE
//
// MODE is octal and exact, whatever the umask: 0755 for directories and
// subvolumes and 0644 for files when it is left out. CONTENT is the rest of
// the line; a file without is empty. Directories above PATH are made as
// needed, 0755 less the umask. A dir that exists is changed to the mode and owner given;
// anything else that exists is an error.
func Tree(t testing.TB, dir string, specs ...string) {
	t.Helper()
	for _, spec := range specs {
		if err := makeNode(dir, spec); err != nil {
			t.Fatalf("make %q: %v", spec, err)
		}
	}
}

// node is a parsed spec.
type node struct {
	kind string
	path string // below the directory of the tree
	rest []string

	mode      uint32
	hasMode   bool
	uid, gid  int
	hasOwner  bool
	remainder string // CONTENT
}

func makeNode(dir, spec string) error {
	n, err := parseNode(spec)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, n.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch n.kind {
	case "link":
		return os.Symlink(n.rest[0], path)
	case "hardlink":
		return os.Link(filepath.Join(dir, n.rest[0]), path)
	case "xattr":
		return unix.Lsetxattr(path, n.rest[0], []byte(n.rest[1]), 0)
	}
	if err := n.create(path); err != nil {
		return err
	}
	return n.setOwnerAndMode(path)
}

// create makes a node that has a mode and an owner.
func (n node) create(path string) error {
	switch n.kind {
	case "dir":
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	case "subvolume":
		return createSubvolume(path)
	case "fifo":
		return unix.Mkfifo(path, 0o600)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(n.remainder)
	return errors.Join(err, file.Close())
}

// setOwnerAndMode sets the owner first: chown clears the setuid bits.
func (n node) setOwnerAndMode(path string) error {
	if n.hasOwner {
		if err := os.Lchown(path, n.uid, n.gid); err != nil {
			return err
		}
	}
	mode := n.mode
	if !n.hasMode {
		mode = defaultMode(n.kind)
	}
	return unix.Chmod(path, mode)
}

func defaultMode(kind string) uint32 {
	if kind == "dir" || kind == "subvolume" {
		return 0o755
	}
	return 0o644
}

func createSubvolume(path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return btrfs.CreateSubvolume(int(parent.Fd()), filepath.Base(path))
}

func parseNode(spec string) (node, error) {
	words := strings.Fields(spec)
	if len(words) < 2 {
		return node{}, errors.New("want a kind and a path")
	}
	n := node{kind: words[0], path: words[1], rest: words[2:]}
	if !filepath.IsLocal(n.path) {
		return node{}, fmt.Errorf("path %q leads out of the tree", n.path)
	}
	switch n.kind {
	case "link", "hardlink":
		return n, wantWords(n.rest, 1, 1)
	case "xattr":
		return n, wantWords(n.rest, 2, 2)
	case "dir", "subvolume", "fifo":
		if err := wantWords(n.rest, 0, 2); err != nil {
			return node{}, err
		}
	case "file":
		if len(words) > 4 {
			n.remainder = afterWords(spec, 4)
		}
	default:
		return node{}, fmt.Errorf("unknown kind %q", n.kind)
	}
	return n, n.parseModeAndOwner()
}

func (n *node) parseModeAndOwner() error {
	if len(n.rest) > 0 {
		mode, err := strconv.ParseUint(n.rest[0], 8, 12)
		if err != nil {
			return fmt.Errorf("mode: %w", err)
		}
		n.mode, n.hasMode = uint32(mode), true
	}
	if len(n.rest) > 1 {
		if _, err := fmt.Sscanf(n.rest[1], "%d:%d", &n.uid, &n.gid); err != nil {
			return fmt.Errorf("owner %q: want UID:GID: %w", n.rest[1], err)
		}
		n.hasOwner = true
	}
	return nil
}

func wantWords(words []string, least, most int) error {
	if len(words) < least || len(words) > most {
		return fmt.Errorf("%d words after the path, want %d to %d", len(words), least, most)
	}
	return nil
}

// afterWords returns what follows the given number of words and one space, as
// it is. There must be that many and more.
func afterWords(text string, words int) string {
	for range words {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		text = text[strings.IndexFunc(text, unicode.IsSpace):]
	}
	return text[1:]
}
