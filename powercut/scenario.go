package powercut

import (
	"fmt"
	"strings"
	"time"
)

// Scenario is what runs on the disk while it is recorded: some boots with their
// rollback, entries and files that are copied back, under a load.
type Scenario struct {
	Name    string
	Boots   int
	Options []string // mount options of the root
	Mkfs    []string // options of mkfs.btrfs
	Size    int64    // of each device, in bytes; 0: as the file system needs it

	// Devices is how many block devices the root's file system has, each with a copy
	// of everything (raid1); 0 is one. A cut leaves each of them as if it were
	// alone: what one has flushed the other need not have.
	Devices int

	// Store is the file system of the store where that is on a disk of its own,
	// which is the one that is recorded and cut. Otherwise the store is a
	// subvolume of the root's file system.
	Store string

	// Writers is how many others fsync files of the same file system meanwhile.
	// Without them nothing is committed but what the protocols commit.
	Writers int

	// Committer commits the file system over and over, so that a commit falls
	// between any two system calls, sooner or later.
	Committer bool

	// Between commits before each system call of the protocols that changes the
	// file system.
	Between bool

	// Fsyncs fsyncs the directories of the protocols there instead. What they
	// name is then in the log of the file system and, as no commit comes in
	// between, what that has to do with the rest of the transaction shows.
	Fsyncs bool

	// Strange has another program work there, see [stranger]. Seed says at what.
	Strange bool
	Seed    uint64

	// InRoot fsyncs files of the root itself.
	InRoot bool

	Also    bool // a second subvolume is rolled back with the root
	Blank   bool // roots are snapshots, not empty subvolumes
	Delete  bool // archived roots are deleted in between
	Restore bool // data is brought back from the archive
	Keep    bool // data of the root is kept, by "ebb keep" and "ebb apply" in turn

	// Rest is for how long nothing is done behind a deletion. With discard=async the
	// kernel waits for two minutes before it discards what has become free
	// (BTRFS_DISCARD_DELAY in fs/btrfs/discard.c).
	Rest time.Duration

	// Depth is how many cuts there are in one story: 2 cuts the recovery from
	// the first, too. 0 is 1.
	Depth int
}

// raid1 has mkfs.btrfs(8) keep each block on two devices.
var raid1 = []string{"-d", "raid1", "-m", "raid1"}

// Scenarios are the known ones. What fails with one of them and not with
// another tells where to look.
func Scenarios() []Scenario {
	list := []Scenario{
		{Name: "quiet", Boots: 4, Also: true, Blank: true, Options: []string{"commit=300"}},
		{Name: "one-writer", Boots: 3, Also: true, Blank: true, Writers: 1, Options: []string{"commit=30"}},
		{Name: "four-writers", Boots: 2, Also: true, Blank: true, Writers: 4, Options: []string{"commit=300"}},
		{Name: "four-writers-commit-1", Boots: 2, Blank: true, Writers: 4, Options: []string{"commit=1"}},
		{Name: "compress", Boots: 3, Also: true, Blank: true, Writers: 1, Options: []string{"commit=1", "compress-force=zstd"}},
		{Name: "four-writers-compress", Boots: 2, Also: true, Blank: true, Writers: 4, Options: []string{"commit=30", "compress=zstd"}},
		{Name: "empty-roots", Boots: 3, Also: true, Writers: 4, Options: []string{"commit=30"}},
		{Name: "committer", Boots: 4, Also: true, Blank: true, Committer: true, Options: []string{"commit=300"}},
		{Name: "committer-writers", Boots: 2, Also: true, Blank: true, Writers: 4, Committer: true, Options: []string{"commit=300"}},
		{Name: "between", Boots: 3, Also: true, Blank: true, Between: true, Options: []string{"commit=300"}},
		{Name: "between-empty", Boots: 3, Also: true, Between: true, Writers: 1, Options: []string{"commit=300"}},
		{Name: "fsyncs", Boots: 2, Also: true, Blank: true, Fsyncs: true, Options: []string{"commit=300"}},
		{Name: "small-nodes", Boots: 3, Also: true, Blank: true, Writers: 1, Options: []string{"commit=300"}, Mkfs: []string{"--nodesize", "4096"}},
		{Name: "single-metadata", Boots: 3, Also: true, Blank: true, Options: []string{"commit=1"}, Mkfs: []string{"-m", "single"}},
		{Name: "discard", Boots: 3, Also: true, Blank: true, Writers: 1, Options: []string{"commit=30", "discard=sync"}},
		{Name: "discard-deletions", Boots: 4, Also: true, Blank: true, Writers: 1, Delete: true, Options: []string{"commit=300", "discard=sync"}},
		{Name: "discard-later", Boots: 3, Also: true, Blank: true, Delete: true, Rest: 140 * time.Second, Options: []string{"commit=1", "discard=async"}},
		{Name: "deletions", Boots: 5, Also: true, Blank: true, Delete: true, Between: true, Options: []string{"commit=30"}},
		{Name: "in-root", Boots: 3, Also: true, Blank: true, InRoot: true, Options: []string{"commit=300"}},
		{Name: "in-root-writers", Boots: 2, Also: true, Blank: true, InRoot: true, Writers: 4, Options: []string{"commit=30"}},
		{Name: "in-root-committer", Boots: 3, Also: true, Blank: true, InRoot: true, Committer: true, Options: []string{"commit=300"}},
		{Name: "restore", Boots: 4, Also: true, Blank: true, Restore: true, Delete: true, Between: true, Options: []string{"commit=300"}},
		{Name: "restore-fsyncs", Boots: 2, Also: true, Blank: true, Restore: true, Delete: true, Fsyncs: true, Options: []string{"commit=300"}},
		{Name: "keep-quiet", Boots: 2, Also: true, Blank: true, Keep: true, Options: []string{"commit=300"}},
		{Name: "keep", Boots: 2, Also: true, Blank: true, Keep: true, Between: true, Options: []string{"commit=300"}},
		{Name: "keep-fsyncs", Boots: 2, Also: true, Blank: true, Keep: true, Fsyncs: true, InRoot: true, Options: []string{"commit=300"}},
		{Name: "raid1", Devices: 2, Boots: 3, Also: true, Blank: true, Writers: 1, Options: []string{"commit=30"}, Mkfs: raid1},
		{Name: "raid1-between", Devices: 2, Boots: 2, Also: true, Blank: true, Between: true, Options: []string{"commit=300"}, Mkfs: raid1},
		{Name: "raid1-fsyncs", Devices: 2, Boots: 2, Also: true, Blank: true, Fsyncs: true, Writers: 4, Options: []string{"commit=300"}, Mkfs: raid1},
		{Name: "strange", Boots: 2, Also: true, Blank: true, Strange: true, Options: []string{"commit=300"}},
		{Name: "strange-writers", Boots: 2, Also: true, Blank: true, Strange: true, Writers: 1, Restore: true, Delete: true, Options: []string{"commit=30"}},
		{Name: "ext4", Boots: 3, Also: true, Blank: true, Store: "ext4", Restore: true},
		{Name: "ext4-fsyncs", Boots: 2, Also: true, Blank: true, Store: "ext4", Restore: true, Fsyncs: true},
		{Name: "ext4-writers", Boots: 2, Also: true, Blank: true, Store: "ext4", Keep: true, Writers: 4},
		{Name: "ext4-keep", Boots: 2, Also: true, Blank: true, Store: "ext4", Keep: true, Fsyncs: true},
		{Name: "xfs", Boots: 3, Also: true, Blank: true, Store: "xfs", Restore: true},
		{Name: "xfs-fsyncs", Boots: 2, Also: true, Blank: true, Store: "xfs", Restore: true, Fsyncs: true},
		{Name: "xfs-keep", Boots: 2, Also: true, Blank: true, Store: "xfs", Keep: true, Fsyncs: true, Writers: 1},
		{Name: "f2fs", Boots: 3, Also: true, Blank: true, Store: "f2fs", Restore: true},
		{Name: "f2fs-fsyncs", Boots: 2, Also: true, Blank: true, Store: "f2fs", Restore: true, Fsyncs: true},
		{Name: "f2fs-keep", Boots: 2, Also: true, Blank: true, Store: "f2fs", Keep: true, Fsyncs: true, Writers: 1},
		{Name: "nested", Boots: 1, Also: true, Blank: true, Depth: 2, Options: []string{"commit=300"}},
		{Name: "nested-between", Boots: 2, Also: true, Blank: true, Between: true, Depth: 2, Options: []string{"commit=300"}},
		{Name: "nested-writers", Boots: 1, Also: true, Writers: 1, Depth: 2, Options: []string{"commit=30"}},
		{Name: "three-deep", Boots: 1, Also: true, Blank: true, Between: true, Depth: 3, Options: []string{"commit=300"}},
	}
	return list
}

// FindScenario returns the one of that name.
func FindScenario(name string) (Scenario, error) {
	var names []string
	for _, s := range append(Scenarios(), bootScenario) {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	if s, ok := findRandom(name); ok {
		return s, nil
	}
	return Scenario{}, fmt.Errorf("there is no scenario %q: there are %s, and random-NUMBER", name, strings.Join(names, ", "))
}

// member is a subvolume that is rolled back.
type member struct{ name, live, blank string }

func (s *Scenario) members() []member {
	members := []member{{name: "root", live: "@"}}
	if s.Also {
		members = append(members, member{name: "home", live: "@home"})
	}
	if s.Blank {
		for i := range members {
			members[i].blank = members[i].live + "-blank"
		}
	}
	return members
}

// configText is the config of the machine.
func (s *Scenario) configText(device string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `{"version": 1, "root": {"kind": "btrfs", "device": %q, "options": [`, device)
	for i, option := range s.Options {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%q", option)
	}
	text.WriteString("]")
	members := s.members()
	fmt.Fprintf(&text, `, "blank": %q`, blankName(members[0]))
	if s.Also {
		fmt.Fprintf(&text, `, "also": [{"name": "home", "subvolume": "@home", "blank": %q}]`, blankName(members[1]))
	}
	text.WriteString("}}")
	return text.String()
}

// blankName is the name in the config; a blank that is not there means an
// empty root.
func blankName(m member) string { return m.live + "-blank" }
