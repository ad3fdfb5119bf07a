package archive

import (
	"strings"
	"time"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
)

// metaVersion is the version of meta.json that this ebb writes and reads.
const metaVersion = 1

// metaMaxBytes bounds what is read: a hostile disk may hold anything there.
const metaMaxBytes = 256 << 10

// Info is meta.json: what one rollback did. It is written before the exchange,
// so that after a power cut it tells how far the rollback had come.
type Info struct {
	Version  int       `json:"version"`
	Sequence uint64    `json:"sequence"`
	Archived time.Time `json:"archived"` // by the clock of then, which may have been wrong

	// Boot is the boot that made the rollback, and so the one that the fresh
	// subvolumes were made for.
	Boot Boot `json:"boot"`
	// Previous is the boot that the archived root was made for, as far as known.
	Previous *Boot `json:"previous,omitempty"`

	Subvolumes []Member `json:"subvolumes"`
}

// Boot says which boot it was.
type Boot struct {
	ID     string    `json:"id"`               // /proc/sys/kernel/random/boot_id
	Time   time.Time `json:"time"`             // when its rollback ran
	Kernel string    `json:"kernel"`           // uname -r
	System string    `json:"system,omitempty"` // the NixOS system, /nix/store/...
}

// Member is one subvolume that was exchanged.
type Member struct {
	Name  string     `json:"name"` // in the archive: "root", or that of an "also"
	Path  string     `json:"path"` // of the live one, below the top-level subvolume
	Fresh btrfs.UUID `json:"fresh_uuid"`
	Old   btrfs.UUID `json:"old_uuid"` // zero: there was none
	OldID uint64     `json:"old_id"`
}

// Member returns the subvolume of that name in the archive.
func (i *Info) Member(name string) (Member, bool) {
	for _, m := range i.Subvolumes {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// Marshal gives the text of meta.json.
func (i *Info) Marshal() ([]byte, error) {
	i.Version = metaVersion
	data, err := jsontext.Append(nil, i, "  ")
	if err != nil {
		return nil, format.Errorf("write %s: %w", Meta, err)
	}
	return append(data, '\n'), nil
}

// ParseInfo reads the text of meta.json. It comes from a disk that anything
// may have written, so nothing in it is taken for granted.
func ParseInfo(data []byte) (*Info, error) {
	var i Info
	if err := jsontext.Unmarshal(data, &i); err != nil {
		return nil, format.Errorf("read %s: %w", Meta, err)
	}
	if i.Version != metaVersion {
		return nil, format.Errorf("read %s: version %d, this ebb reads version %d only", Meta, i.Version, metaVersion)
	}
	if i.Sequence == 0 || i.Sequence > 1<<62 {
		return nil, format.Errorf("read %s: sequence number %d", Meta, i.Sequence)
	}
	seen := map[string]bool{}
	for _, m := range i.Subvolumes {
		if err := sys.CheckName(m.Name); err != nil || m.Name == Meta || strings.HasPrefix(m.Name, ".") || seen[m.Name] {
			return nil, format.Errorf("read %s: subvolume name %q", Meta, m.Name)
		}
		seen[m.Name] = true
		if m.Fresh.IsZero() {
			return nil, format.Errorf("read %s: subvolume %q without a uuid", Meta, m.Name)
		}
	}
	return &i, nil
}

// ReadInfo reads meta.json in the directory of an archived root, or of a
// rollback in progress.
func ReadInfo(dirFd int) (*Info, error) {
	data, err := sys.ReadFile(dirFd, Meta, metaMaxBytes)
	if err != nil {
		return nil, err
	}
	return ParseInfo(data)
}
