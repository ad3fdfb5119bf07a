// Package config is the contract between the NixOS module, which writes
// /etc/ebb/config.json while the system is built, and the binary, which reads
// it in the initrd and in the running system.
//
// [Parse] is strict: whatever it does not know, or finds doubtful, it refuses,
// with the place in the document and the reason, all problems in one go. The
// same function runs when the system is built (ebb check), so that a bad
// config never reaches a boot.
package config

import "strconv"

// Version is the only version of the format.
const Version = 1

// DefaultPath is where the module puts the config, in the initrd and in the
// running system.
const DefaultPath = "/etc/ebb/config.json"

// Config is a whole, valid configuration; [Parse] makes it.
type Config struct {
	Root   Root
	Stores []Store // in the order of the document
	Adopt  Adopt
}

// Kind says what becomes of the root file system at each boot.
type Kind string

// The kinds of root.
const (
	KindBtrfs Kind = "btrfs" // a fresh subvolume, the old one is archived
	KindTmpfs Kind = "tmpfs" // an empty tmpfs
	KindNone  Kind = "none"  // left alone, only the entries are brought in
)

// Root describes the root file system. Which fields count depends on Kind;
// those of another kind are refused in the document and zero here.
type Root struct {
	Kind      Kind
	OnFailure OnFailure
	Options   []string // mount options as in an fstab, btrfs and tmpfs

	// btrfs: names are paths below the top-level subvolume (id 5).
	Device    string
	Subvolume string
	Blank     string
	Archive   string
	Also      []Also
	Keep      Keep

	// tmpfs
	Size   Size
	Mode   uint32
	Inodes uint64 // 0: the kernel's default, half the number of pages of RAM
}

// OnFailure is what happens to the boot when the root could not be made fresh.
type OnFailure string

// The failure policies.
const (
	Continue  OnFailure = "continue"  // boot the root that is there, and say so
	Emergency OnFailure = "emergency" // stop in the emergency shell
)

// Also is a further subvolume that is rolled back together with the root.
type Also struct {
	Name      string // its name in the archive, beside "root"
	Subvolume string
	Blank     string // empty: the new one is an empty subvolume
}

// Keep says which archived roots outlive a prune.
type Keep struct {
	Count          uint64 // the newest Count are never deleted
	Days           uint64 // since archiving
	MinFreePercent uint64
}

// Size of a tmpfs: the smaller of both where both are set. Zero means that
// the kernel's default applies, half of RAM.
type Size struct {
	Bytes      uint64
	RAMPercent uint64
}

// Adopt bounds what a boot copies into a store when an entry is new and the
// old root has data at its path.
type Adopt struct {
	Files       uint64
	CopiedBytes uint64 // bytes that could not be shared by reflink
}

// Store is a directory on a file system that survives the boot.
type Store struct {
	Path    string // absolute, as seen from the root
	Mounted bool   // on a mount of its own; always so where the root is fresh
	Entries []Entry
}

// How an entry comes into place.
type How string

// The ways to bring an entry into place.
const (
	Bind    How = "bind"    // a bind mount
	Symlink How = "symlink" // a symbolic link into the store
	Sync    How = "sync"    // a copy, copied back when it changes and at shutdown
)

// Entry is one directory or file that survives the boot.
type Entry struct {
	Path      string // absolute; the source is the store's path plus this
	Directory bool   // listed under "directories" rather than "files"
	How       How
	Owner     Owner
	Mode      *uint32 // permission bits; nil: the default for its place
	Parent    Parent
	Options   []string // mount options, only with Bind
	Hidden    bool     // x-gvfs-hide: file managers do not show the mount
	Trash     bool     // x-gvfs-trash: file managers use a trash folder on it
	Subvolume bool     // a missing source is made as a btrfs subvolume
	NoDataCOW bool     // a missing source is made with chattr +C
	Required  bool     // without it the boot stops
	Kept      string   // when "ebb keep" has made it; empty for what is declared
	index     int      // in its list in the document
}

// Owner names a user and a group; a number wins over a name. The zero value
// is nobody in particular, which means root.
type Owner struct {
	User, Group string
	UID, GID    *uint32
}

// Parent is what a directory gets that has to be made above an entry.
type Parent struct {
	Owner Owner
	Mode  *uint32
}

// CountEntries returns how many entries all stores have.
func (c *Config) CountEntries() (count int) {
	for i := range c.Stores {
		count += len(c.Stores[i].Entries)
	}
	return count
}

// Place returns where an entry stands in the document:
// stores./persist.directories[3].
func (s *Store) Place(e *Entry) string {
	list := "files"
	if e.Directory {
		list = "directories"
	}
	return "stores." + s.Path + "." + list + "[" + strconv.Itoa(e.index) + "]"
}

// Source returns where an entry's data lies, as seen from the root.
func (s *Store) Source(e *Entry) string { return s.Path + e.Path }
