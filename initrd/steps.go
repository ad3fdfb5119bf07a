package initrd

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// executor carries out the steps of a plan on one open file system. It holds
// what a step learns and a later one needs.
type executor struct {
	root    *config.Root
	facts   *Facts
	members []MemberFacts // as the plan has them
	boot    archive.Boot
	top     int // the top-level subvolume
	archive int // the archive, -1 until it is there
	next    int // the staging directory, -1 while there is none
	fresh   map[string]Identity

	inPlace  map[string]bool // by the name in the archive: the fresh one has the live name
	archived bool            // the old ones have their number
}

func newExecutor(root *config.Root, boot archive.Boot, top int) *executor {
	return &executor{
		root: root, boot: boot, top: top, archive: -1, next: -1,
		fresh: map[string]Identity{}, inPlace: map[string]bool{},
	}
}

func (x *executor) close() {
	for _, fd := range []int{x.archive, x.next} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// do carries out one step.
func (x *executor) do(s *Step) error {
	switch s.Action {
	case MakeArchive:
		return x.makeArchive()
	case Protect:
		return x.protect()
	case Drop:
		return x.drop(s)
	case Unstage:
		return x.unstage()
	case Stage:
		return x.stage()
	case Create:
		return x.create(s)
	case Snapshot:
		return x.snapshot(s)
	case Describe:
		return x.describe(s)
	case Exchange:
		return x.intoPlace(s, sys.RenameExchange)
	case Place:
		return x.intoPlace(s, sys.RenameNoReplace)
	case Archive:
		return x.archiveNext(s)
	}
	return x.seal(s) // Seal
}

// stage makes the staging directory; that it was not there is part of the
// plan. The number that is about to be used is noted with it.
func (x *executor) stage() error {
	if err := sys.MakeDirectory(x.archive, archive.Next, 0o700); err != nil {
		return err
	}
	return x.openNext()
}

// create makes an empty subvolume. Its top directory is root's, 0755, as / has
// to be; that of another one is like the one which it stands in for.
func (x *executor) create(s *Step) error {
	if err := btrfs.CreateSubvolume(x.next, s.Member.Name); err != nil {
		return err
	}
	fd, err := sys.OpenComponent(x.next, s.Member.Name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	uid, gid, mode := x.topOf(s.Member)
	if err := errors.Join(sys.ChangeOwner(fd, uid, gid), sys.ChangeMode(fd, mode)); err != nil {
		return format.Errorf("set owner and mode of %q: %w", s.Member.Name, err)
	}
	return x.learn(s.Member.Name, fd)
}

func (x *executor) topOf(m MemberFacts) (uid, gid, mode uint32) {
	if m.Name == archive.Root || m.Live == nil {
		return 0, 0, 0o755
	}
	fd, err := sys.OpenBeneath(x.top, m.Path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return 0, 0, 0o755
	}
	defer unix.Close(fd)
	st, err := sys.Stat(fd)
	if err != nil {
		return 0, 0, 0o755
	}
	return st.UID, st.GID, st.Permissions()
}

func (x *executor) snapshot(s *Step) error {
	source, err := sys.OpenBeneath(x.top, s.Member.From, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	if err := btrfs.Snapshot(x.next, s.Member.Name, source, false); err != nil {
		return err
	}
	fd, err := sys.OpenComponent(x.next, s.Member.Name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := clearEntered(fd); err != nil {
		return err
	}
	return x.learn(s.Member.Name, fd)
}

func (x *executor) learn(name string, fd int) error {
	info, err := btrfs.Info(fd)
	if err != nil {
		return err
	}
	x.fresh[name] = Identity{ID: info.ID, UUID: info.UUID}
	return nil
}

// describe writes meta.json before the first exchange, so that no disk can hold
// an old root in the staging directory without it. Its contents are made
// durable here; its name is part of the same transaction as the exchange, or
// of an earlier one, so it is on the disk whenever the exchange is.
func (x *executor) describe(s *Step) error {
	info := x.info(s.Number)
	data, err := info.Marshal()
	if err != nil {
		return err
	}
	if err := archive.SetLastSequence(x.archive, s.Number); err != nil {
		return err
	}
	return sys.ReplaceFile(x.next, archive.Meta, data, 0o600)
}

func (x *executor) info(number uint64) *archive.Info {
	info := &archive.Info{Sequence: number, Archived: now(), Boot: x.boot}
	for _, m := range x.members {
		member := archive.Member{Name: m.Name, Path: m.Path, Fresh: x.fresh[m.Name].UUID}
		if m.Live != nil {
			member.Old, member.OldID = m.Live.UUID, m.Live.ID
		}
		info.Subvolumes = append(info.Subvolumes, member)
	}
	info.Previous = x.previousBoot()
	return info
}

// previousBoot tells which boot the root that is about to be archived was made
// for: the newest archived root says so, if it was made in the same go.
func (x *executor) previousBoot() *archive.Boot {
	newest, live := x.facts.Newest, x.members[0].Live
	if newest == nil || live == nil {
		return nil
	}
	if m, ok := newest.Member(archive.Root); !ok || m.Fresh != live.UUID {
		return nil
	}
	return &newest.Boot
}

// intoPlace renames the staged subvolume to its live name.
func (x *executor) intoPlace(s *Step, rename func(int, string, int, string) error) error {
	m := s.Member
	if err := x.openNext(); err != nil {
		return err
	}
	dir, err := sys.OpenBeneath(x.top, path.Dir(m.Path), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := rename(x.next, m.Name, dir, path.Base(m.Path)); err != nil {
		return err
	}
	x.inPlace[m.Name] = !s.Recovery
	return nil
}

func (x *executor) archiveNext(s *Step) error {
	if x.next >= 0 {
		x.closeNext()
	}
	if err := sys.RenameNoReplace(x.archive, archive.Next, x.archive, archive.DirectoryName(s.Number)); err != nil {
		return err
	}
	x.archived = !s.Recovery
	return nil
}

func (x *executor) seal(s *Step) error {
	dir, err := sys.OpenComponent(x.archive, archive.DirectoryName(s.Number), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := sys.OpenComponent(dir, s.Member.Name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return btrfs.SetReadOnly(fd, true)
}
