package powercut

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// stranger is another program that uses the file system between the system calls of
// the protocols: up to three operations on few names, in any order, and an fsync of a
// file beside them. Short sequences like these, with an fsync at the end, are what most
// crashes of file systems were found with (Mohan et al., "Finding Crash-Consistency
// Bugs with Bounded Black-Box Crash Testing", OSDI 2018). What they have to do with
// each other is the file system's matter; what was fsynced has to stay, and so has all
// that the protocols promise.
type stranger struct {
	machine *machine
	random  *rand.Rand
	kept    int
}

// strangeDirectories are where it works: in the top-level subvolume, beside those that
// are renamed, and in the store, where entries are.
var strangeDirectories = []string{"strange", "@persist/strange"}

// makeStrangeDirectories makes them, where the scenario has a stranger.
func (m *machine) makeStrangeDirectories() error {
	if !m.scenario.Strange {
		return nil
	}
	for _, dir := range strangeDirectories {
		if err := os.Mkdir(m.top(dir), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// strangeSequence is how many operations there are before an fsync at most.
const strangeSequence = 3

// act does one sequence, before one call of three.
func (s *stranger) act() error {
	if s.random.IntN(3) != 0 {
		return nil
	}
	name := strangeDirectories[s.random.IntN(len(strangeDirectories))]
	if s.machine.hasStoreDisk() {
		name = strangeDirectories[1] // the other disk is not cut
	}
	dir := s.machine.top(name)
	for range s.random.IntN(strangeSequence + 1) {
		operation := strangeOperations[s.random.IntN(len(strangeOperations))]
		if err := operation(s, dir); err != nil && !isInTheWay(err) {
			return fmt.Errorf("a stranger: %w", err)
		}
	}
	s.kept++
	file := fmt.Sprintf("kept%d", s.kept)
	text := string(repeated(s.kept, s.random.IntN(6000)+1))
	if err := s.keep(dir, file, text); err != nil {
		return fmt.Errorf("a stranger: %w", err)
	}
	s.machine.disk.mark(Event{What: FileSynced, Path: filepath.Join(name, file), Text: text})
	return nil
}

// keep writes a file that is never touched again.
func (s *stranger) keep(dir, name, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDirectory(dir)
}

// isInTheWay reports whether an operation was none, because of what the others have
// left.
func isInTheWay(err error) bool {
	for _, errno := range []error{
		unix.ENOENT, unix.EEXIST, unix.ENOTEMPTY, unix.EISDIR, unix.ENOTDIR, unix.EPERM, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.EOPNOTSUPP, unix.ELOOP,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// some returns one of the few names that the operations share.
func (s *stranger) some(dir string) string {
	return filepath.Join(dir, []string{"a", "b", "c", "below", "below/a", "below/b"}[s.random.IntN(6)])
}

// strangeOperations are what it does in a directory.
var strangeOperations = []func(s *stranger, dir string) error{
	func(s *stranger, dir string) error { // writes a file, over what it was
		return os.WriteFile(s.some(dir), noise(s.kept, s.random.IntN(20000)), 0o644)
	},
	func(s *stranger, dir string) error { return os.Mkdir(s.some(dir), 0o755) },
	func(s *stranger, dir string) error { return os.Rename(s.some(dir), s.some(dir)) },
	func(s *stranger, dir string) error { // exchanges two names
		return unix.Renameat2(unix.AT_FDCWD, s.some(dir), unix.AT_FDCWD, s.some(dir), unix.RENAME_EXCHANGE)
	},
	func(s *stranger, dir string) error { return os.Link(s.some(dir), s.some(dir)) },
	func(s *stranger, dir string) error { return os.Symlink("a", s.some(dir)) },
	func(s *stranger, dir string) error { return os.Remove(s.some(dir)) },
	func(s *stranger, dir string) error { return os.Truncate(s.some(dir), s.random.Int64N(30000)) },
	func(s *stranger, dir string) error {
		return unix.Lsetxattr(s.some(dir), "user.strange", noise(s.kept, s.random.IntN(200)+1), 0)
	},
	(*stranger).punch,
	(*stranger).fsync,
	(*stranger).fsyncRemoved,
	func(s *stranger, dir string) error { return syncDirectory(dir) },
	(*stranger).subvolume,
}

// punch takes blocks out of the middle of a file.
func (s *stranger) punch(dir string) error {
	f, err := os.OpenFile(s.some(dir), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, blockSize, blockSize)
	return errors.Join(err, f.Close())
}

// fsync makes a file or a directory durable.
func (s *stranger) fsync(dir string) error {
	f, err := os.Open(s.some(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// fsyncRemoved does that to one that has lost its name while it was open: a file that
// was just written, or a directory. Then something is in the log of the file system that
// has no name in it, and that some kernels cannot replay (package doctor, bugs).
func (s *stranger) fsyncRemoved(dir string) error {
	path := s.some(dir)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if errors.Is(err, unix.EISDIR) {
		f, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	_, _ = f.Write(noise(s.kept, s.random.IntN(20000))) // a directory takes none
	return errors.Join(os.Remove(path), f.Sync(), f.Close())
}

// subvolume makes one, or deletes the one that it has made.
func (s *stranger) subvolume(dir string) error {
	const name = "own"
	if s.machine.hasStoreDisk() {
		return nil
	}
	fd, err := openDirectory(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := btrfs.CreateSubvolume(fd, name); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return btrfs.DeleteByName(fd, name)
}
