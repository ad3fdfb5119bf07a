package initrd

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Facts is what the disk says before a rollback; [Plan] needs nothing else.
type Facts struct {
	ArchiveExists bool
	ArchiveIsOpen bool   // to others than root
	Highest       uint64 // the highest number of an archived root, also of one in the trash
	Used          uint64 // the highest number ever given out, as far as the disk knows
	Next          *NextFacts
	Members       []MemberFacts // the root first
	// Newest is meta.json of the newest archived root, nil when there is none
	// or it cannot be read. It tells which boot the present root was made for.
	Newest *archive.Info
	// Unsealed are the members of the newest archived root, that of number
	// UnsealedNumber, which can be written to: the run that archived it came no
	// further.
	Unsealed       []MemberFacts
	UnsealedNumber uint64
}

// MemberFacts is one subvolume that is to be made fresh.
type MemberFacts struct {
	Name  string // in the archive
	Path  string // of the live one
	Live  *Identity
	From  string // the snapshot that the fresh one is made from
	Blank *Identity
}

// Identity tells one subvolume from all others, wherever it is moved.
type Identity struct {
	ID   uint64
	UUID btrfs.UUID
}

// String is what it is called in debug lines; a nil Identity is nothing.
func (i *Identity) String() string {
	if i == nil {
		return "not there"
	}
	return format.Sprintf("id %d, uuid %s", i.ID, i.UUID)
}

// NextFacts is a rollback that was begun and not ended.
type NextFacts struct {
	Info    *archive.Info // nil when there is none, or Damaged
	Damaged error         // why meta.json cannot be read
	Staged  map[string]Identity
}

// readFacts looks at the disk below the top-level subvolume. copyOf is the
// archived root that the fresh one is to be a copy of, 0 for none.
func readFacts(topFd int, root *config.Root, copyOf uint64) (*Facts, error) {
	facts := &Facts{}
	members := append([]config.Also{{Name: archive.Root, Subvolume: root.Subvolume, Blank: root.Blank}}, root.Also...)
	for _, m := range members {
		member := MemberFacts{Name: m.Name, Path: m.Subvolume, From: m.Blank}
		if copyOf > 0 {
			member.From = path.Join(root.Archive, archive.DirectoryName(copyOf), m.Name)
		}
		if err := member.read(topFd); err != nil {
			return nil, err
		}
		facts.Members = append(facts.Members, member)
	}
	if copyOf > 0 && facts.Members[0].Blank == nil {
		return nil, &refusal{
			reason: format.Sprintf("there is no archived root %d to make a copy of", copyOf),
			hint:   "ebb roots lists what there is",
		}
	}
	return facts, facts.readArchive(topFd, root.Archive)
}

func (m *MemberFacts) read(topFd int) (err error) {
	if m.Live, err = identify(topFd, m.Path); err != nil {
		return err
	}
	if m.From == "" {
		return nil
	}
	m.Blank, err = identify(topFd, m.From)
	return err
}

// identify returns the subvolume at a path below the top level, nil when there
// is nothing, and an error when something else is there.
func identify(topFd int, subvolume string) (*Identity, error) {
	fd, err := sys.OpenBeneath(topFd, subvolume, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, notASubvolume(subvolume)
	}
	if err != nil {
		return nil, format.Errorf("open subvolume %q: %w", subvolume, err)
	}
	defer unix.Close(fd)
	is, err := btrfs.IsSubvolume(fd)
	if err != nil {
		return nil, format.Errorf("look at subvolume %q: %w", subvolume, err)
	}
	if !is {
		return nil, notASubvolume(subvolume)
	}
	info, err := btrfs.Info(fd)
	if err != nil {
		return nil, format.Errorf("look at subvolume %q: %w", subvolume, err)
	}
	return &Identity{ID: info.ID, UUID: info.UUID}, nil
}

func notASubvolume(name string) error {
	return &refusal{
		reason: format.Sprintf("%q is there and is not a subvolume", name),
		hint:   "btrfs subvolume list shows the names; the config has to name a subvolume",
	}
}

func (f *Facts) readArchive(topFd int, name string) error {
	fd, err := archive.Open(topFd, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := sys.Stat(fd)
	if err != nil {
		return err
	}
	f.ArchiveExists, f.ArchiveIsOpen = true, st.Permissions()&0o077 != 0
	numbers, err := archive.Numbers(fd)
	if err != nil {
		return err
	}
	if len(numbers) > 0 {
		f.Highest = numbers[len(numbers)-1]
		f.readNewest(fd, f.Highest)
	}
	if trash, err := sys.OpenComponent(fd, archive.Trash, unix.O_RDONLY|unix.O_DIRECTORY); err == nil {
		defer unix.Close(trash)
		if numbers, err := archive.Numbers(trash); err == nil && len(numbers) > 0 {
			f.Highest = max(f.Highest, numbers[len(numbers)-1])
		}
	}
	last, err := archive.LastSequence(fd)
	if err != nil {
		return err
	}
	f.Used = max(f.Highest, last)
	f.Next, err = readNext(fd)
	if f.Next != nil && f.Next.Info != nil {
		f.Used = max(f.Used, f.Next.Info.Sequence)
	}
	return err
}

// readNewest looks at the newest archived root. Without meta.json the archive
// knows less about the root that is moved into it, nothing else. What cannot be
// looked at is to be sealed: then that says what is wrong.
func (f *Facts) readNewest(archiveFd int, number uint64) {
	f.UnsealedNumber = number
	fd, openErr := sys.OpenComponent(archiveFd, archive.DirectoryName(number), unix.O_RDONLY|unix.O_DIRECTORY)
	if openErr == nil {
		defer unix.Close(fd)
		if info, err := archive.ReadInfo(fd); err == nil {
			f.Newest = info
		}
	}
	for _, m := range f.Members {
		if openErr != nil || isWritable(fd, m.Name) {
			f.Unsealed = append(f.Unsealed, MemberFacts{Name: m.Name})
		}
	}
}

func isWritable(dir int, subvolume string) bool {
	fd, err := sys.OpenComponent(dir, subvolume, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer unix.Close(fd)
	flags, err := btrfs.GetFlags(fd)
	return err != nil || !flags.IsReadOnly()
}

func readNext(archiveFd int) (*NextFacts, error) {
	fd, err := sys.OpenComponent(archiveFd, archive.Next, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, format.Errorf("open %s: %w", archive.Next, err)
	}
	defer unix.Close(fd)
	next := &NextFacts{Staged: map[string]Identity{}}
	next.Info, err = archive.ReadInfo(fd)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		next.Damaged = err
	}
	names, err := archive.Names(fd)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		id, err := identify(fd, name)
		if errors.Is(err, ErrRefused) {
			continue // meta.json, or what somebody has put there
		}
		if err != nil {
			return nil, err
		}
		if id != nil {
			next.Staged[name] = *id
		}
	}
	return next, nil
}
