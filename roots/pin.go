package roots

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// pinName is the file, in the directory of an archived root, that keeps it. It
// holds the reason, for people.
const pinName = "pinned"

// pinMaxBytes bounds the reason.
const pinMaxBytes = 4096

// Pin says why an archived root is never deleted by the retention.
type Pin struct {
	Why string `json:"why"`
}

// SetPin keeps an archived root until it is unpinned. The pin is durable on
// return. topFd is the top-level subvolume, writable, name the path of the
// archive below it.
func SetPin(topFd int, name string, number uint64, why string) error {
	if len(why) > pinMaxBytes {
		return format.Errorf("pin root %d: the reason has more than %d bytes", number, pinMaxBytes)
	}
	return inRoot(topFd, name, number, "pin", func(dir int) error {
		return sys.WriteFile(dir, pinName, []byte(strings.TrimSpace(why)+"\n"), 0o600)
	})
}

// RemovePin gives an archived root back to the retention. One that is not
// pinned is left alone.
func RemovePin(topFd int, name string, number uint64) error {
	return inRoot(topFd, name, number, "unpin", func(dir int) error {
		if err := sys.Remove(dir, pinName); err != nil {
			return err
		}
		return sys.SyncFilesystem(dir)
	})
}

// inRoot lets work be done in the directory of an archived root.
func inRoot(topFd int, name string, number uint64, verb string, work func(dirFd int) error) error {
	fd, err := archive.Open(topFd, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dir, err := openRoot(fd, number)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := work(dir); err != nil {
		return format.Errorf("%s root %d: %w", verb, number, err)
	}
	return nil
}

// openRoot opens the directory of an archived root.
func openRoot(archiveFd int, number uint64) (int, error) {
	dir, err := sys.OpenComponent(archiveFd, archive.DirectoryName(number), unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, &NotThereError{Number: number}
	}
	return dir, err
}

// NotThereError is returned for the number of a root that the archive does not
// have.
type NotThereError struct{ Number uint64 }

func (e *NotThereError) Error() string {
	return format.Sprintf("there is no archived root %d", e.Number)
}

// readPin returns the pin of an archived root, nil when there is none. Any
// file of that name pins, also one that cannot be read.
func readPin(dirFd int) *Pin {
	_, err := sys.StatComponent(dirFd, pinName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var why []byte
	if err == nil {
		why, err = sys.ReadFile(dirFd, pinName, pinMaxBytes+1)
	}
	if err != nil {
		return &Pin{Why: "(" + err.Error() + ")"}
	}
	return &Pin{Why: strings.TrimSpace(string(why))}
}
