// Package archive knows what the archive of old roots looks like on the disk:
// the names in it, the numbers, and meta.json. A rollback writes it, and
// everything that lists, restores or prunes old roots reads it.
//
//	@roots/        a directory, 0700 root
//	  000041/      one archived root
//	    root       the subvolume, read-only
//	    home       what else was rolled back with it
//	    meta.json
//	  .next/       a rollback in progress
//	  .trash/      what is waiting to be deleted
package archive

import (
	"errors"
	"sort"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// The names in an archive.
const (
	Next  = ".next"
	Trash = ".trash"
	Root  = "root"
	Meta  = "meta.json"
)

// sequenceAttribute holds the last number given out, in decimal, on the
// archive's directory, so that numbers grow also after the newest archived
// root was deleted. An extended attribute is part of the directory's own
// metadata: it needs no commit of its own and cannot be torn.
const sequenceAttribute = "trusted.ebb.sequence"

// clockAttribute holds the last time that was believed, in seconds since 1970.
const clockAttribute = "trusted.ebb.clock"

// DirectoryName is the name of an archived root: six digits or more.
func DirectoryName(number uint64) string { return format.Sprintf("%06d", number) }

// ParseDirectoryName reads what [DirectoryName] has written, and nothing else.
func ParseDirectoryName(name string) (number uint64, ok bool) {
	number, err := strconv.ParseUint(name, 10, 63)
	return number, err == nil && DirectoryName(number) == name
}

// Numbers returns the numbers of the archived roots in the directory, in
// ascending order. Names that are no numbers are passed over.
func Numbers(archiveFd int) ([]uint64, error) {
	names, err := Names(archiveFd)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		if number, ok := ParseDirectoryName(name); ok {
			numbers = append(numbers, number)
		}
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	return numbers, nil
}

// Names returns the names in an open directory, in ascending order.
func Names(dirFd int) ([]string, error) {
	fd, err := sys.ReopenDirectory(dirFd, unix.O_RDONLY)
	if err != nil {
		return nil, format.Errorf("read directory: %w", err)
	}
	defer unix.Close(fd)
	names, err := sys.ReadNames(fd)
	if err != nil {
		return nil, format.Errorf("read directory: %w", err)
	}
	sort.Slice(names, func(i, j int) bool { return names[i] < names[j] })
	return names, nil
}

// LastSequence returns the last number that was given out as the directory
// remembers it, 0 when it does not. Not to be able to ask is an error: a number
// could be given out twice.
func LastSequence(archiveFd int) (uint64, error) {
	text, err := sys.GetXattr(archiveFd, sequenceAttribute)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil {
		return 0, nil // nothing that ebb has written
	}
	return number, nil
}

// SetLastSequence remembers the number. It becomes durable with the next
// commit of the file system, which a rollback makes anyhow.
func SetLastSequence(archiveFd int, number uint64) error {
	if err := sys.SetXattr(archiveFd, sequenceAttribute, strconv.AppendUint(nil, number, 10)); err != nil {
		return format.Errorf("remember number %d: %w", number, err)
	}
	return nil
}

// LastClock returns when a prune last believed the clock, zero when none did.
// Not to be able to ask is an error: a clock that jumped could be believed.
func LastClock(archiveFd int) (time.Time, error) {
	text, err := sys.GetXattr(archiveFd, clockAttribute)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return time.Time{}, nil // nothing that ebb has written
	}
	return time.Unix(seconds, 0), nil
}

// SetLastClock remembers that the clock was believed.
func SetLastClock(archiveFd int, now time.Time) error {
	if err := sys.SetXattr(archiveFd, clockAttribute, strconv.AppendInt(nil, now.Unix(), 10)); err != nil {
		return format.Errorf("remember the clock: %w", err)
	}
	return nil
}

// Open opens the archive, a path below the top-level subvolume.
func Open(topFd int, path string) (int, error) {
	fd, err := sys.OpenBeneath(topFd, path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, format.Errorf("open archive %q: %w", path, err)
	}
	return fd, nil
}
