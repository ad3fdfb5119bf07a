package initrd

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// RecordName is the boot record's name in the run directory.
const RecordName = "boot.json"

// ReadyName is an empty file beside the record: the root is as the config wants
// it, or kept by the wish of the kernel command line. Where a failed rollback
// is to stop the boot, sysroot.mount asserts that it is there.
const ReadyName = "root-ready"

// recordVersion is the version of the boot record's format.
const recordVersion = 1

// recordMaxBytes bounds what is read; 5,000 entries take about 2 MiB.
const recordMaxBytes = 64 << 20

// Record is /run/ebb/boot.json: what ebb did in this boot. It is written
// whole at the end of each command of stage 1, also when that failed.
type Record struct {
	Version  int                  `json:"version"`
	BootID   string               `json:"boot_id"`
	Kernel   string               `json:"kernel"`
	Rollback *RollbackRecord      `json:"rollback,omitempty"`
	Mount    *MountRecord         `json:"mount,omitempty"`
	Live     []mounts.EntryResult `json:"live,omitempty"`     // what came into place in the running system, by ebb keep
	Baseline *Baseline            `json:"baseline,omitempty"` // the end of activation
}

// State is how a command of stage 1 has ended.
type State string

// The states of a rollback, and of bringing the entries in.
const (
	StateDone    State = "done"    // as the config wants it
	StateKept    State = "kept"    // left alone, because the kernel command line says so
	StateRefused State = "refused" // a guard said no, nothing was changed
	StateFailed  State = "failed"
)

// Problem is something that did not go as it should, for a person.
type Problem struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // what to do about it
}

// RollbackRecord tells of "ebb rollback".
type RollbackRecord struct {
	State  State  `json:"state"`
	Kind   string `json:"kind"`  // btrfs, tmpfs or none; empty when the config could not be read
	Fresh  bool   `json:"fresh"` // the root is new in this boot
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
	Errno  int    `json:"errno,omitempty"` // what the kernel said, when it was the kernel (errno(3))

	Started time.Time    `json:"started"`
	Seconds float64      `json:"seconds"`
	Steps   []StepRecord `json:"steps,omitempty"`

	// btrfs
	Device     string            `json:"device,omitempty"`
	Filesystem *btrfs.UUID       `json:"filesystem_uuid,omitempty"`
	Sequence   uint64            `json:"sequence,omitempty"`
	Archive    string            `json:"archive,omitempty"`    // the directory of the archived root, below the top level
	CopyOf     uint64            `json:"copy_of,omitempty"`    // the archived root that this root was copied from
	NotCopied  []string          `json:"not_copied,omitempty"` // the subvolumes in that one, which a snapshot of it does not hold
	Recovered  []string          `json:"recovered,omitempty"`  // what an earlier, interrupted run had left
	Subvolumes []SubvolumeRecord `json:"subvolumes,omitempty"`

	// tmpfs
	SizeBytes uint64 `json:"size_bytes,omitempty"`

	Problems []Problem `json:"problems,omitempty"` // that did not stop it
}

// SubvolumeRecord is one subvolume that was made fresh.
type SubvolumeRecord struct {
	Name     string      `json:"name"` // "root", or that of an "also"
	Path     string      `json:"path"` // below the top-level subvolume
	ID       uint64      `json:"id"`
	UUID     btrfs.UUID  `json:"uuid"`
	Blank    string      `json:"blank,omitempty"` // what it is a snapshot of; empty: it began empty
	OldID    uint64      `json:"old_id,omitempty"`
	OldUUID  *btrfs.UUID `json:"old_uuid,omitempty"`
	Archived string      `json:"archived,omitempty"` // where the old one is now
}

// StepRecord is one step and how long it took.
type StepRecord struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// MountRecord tells of "ebb mount".
type MountRecord struct {
	State    State                `json:"state"`
	Reason   string               `json:"reason,omitempty"`
	Hint     string               `json:"hint,omitempty"`
	Started  time.Time            `json:"started"`
	Seconds  float64              `json:"seconds"`
	Entries  []mounts.EntryResult `json:"entries"`
	Problems []Problem            `json:"problems,omitempty"`
	Root     string               `json:"root,omitempty"`    // where the root was mounted
	RootID   string               `json:"root_id,omitempty"` // by which that is known, see [RootID]
}

// RootID tells a root from another that is at the same place later: device and
// inode of its top directory, empty when it is not there.
func RootID(dir string) string {
	fd, err := sys.OpenDirectory(dir)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	st, err := sys.Stat(fd)
	if err != nil {
		return ""
	}
	return format.Sprintf("%d:%d", st.Device, st.Inode)
}

// Subvolume returns what was made fresh under that name.
func (r *RollbackRecord) Subvolume(name string) (SubvolumeRecord, bool) {
	for _, s := range r.Subvolumes {
		if s.Name == name {
			return s, true
		}
	}
	return SubvolumeRecord{}, false
}

// ErrNoRecord is returned when this boot has no record.
var ErrNoRecord = errors.New("ebb has not run in this boot")

// ReadRecord reads the record of this boot. A record of another boot, in a run
// directory that survived one, does not count: [ErrNoRecord].
func ReadRecord(runDir, bootID string) (*Record, error) {
	dir, err := sys.OpenDirectory(runDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoRecord
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	data, err := sys.ReadFile(dir, RecordName, recordMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoRecord
	}
	if err != nil {
		return nil, format.Errorf("read boot record: %w", err)
	}
	var record Record
	if err := jsontext.Unmarshal(data, &record); err != nil {
		return nil, format.Errorf("read boot record: %w", err)
	}
	if record.BootID != bootID {
		return nil, ErrNoRecord
	}
	return &record, nil
}

// updateRecord reads the record of this boot, or begins one, lets change work
// on it, and replaces it atomically. Without the lock the worst case is that of
// two that end at once one is missing in it.
func (h *Host) updateRecord(change func(*Record)) error {
	if unlock, err := h.lock(recordLock); err == nil {
		defer unlock()
	}
	record, err := ReadRecord(h.RunDir, h.BootID)
	if err != nil {
		// A record that cannot be read is of no use to anybody: begin anew.
		record = &Record{}
	}
	return h.writeRecord(record, change)
}

// addToRecord is updateRecord for what is worth less than the record that there
// is: one that cannot be read stays.
func (h *Host) addToRecord(change func(*Record)) error {
	if unlock, err := h.lock(recordLock); err == nil {
		defer unlock()
	}
	record, err := ReadRecord(h.RunDir, h.BootID)
	switch {
	case errors.Is(err, ErrNoRecord):
		record = &Record{}
	case err != nil:
		return err
	}
	return h.writeRecord(record, change)
}

func (h *Host) writeRecord(record *Record, change func(*Record)) error {
	record.Version, record.BootID, record.Kernel = recordVersion, h.BootID, h.Kernel
	change(record)
	data, err := jsontext.Append(make([]byte, 0, record.size()), record, "")
	if err != nil {
		return format.Errorf("write boot record: %w", err)
	}
	dir, err := makeRunDir(h.RunDir)
	if err != nil {
		return format.Errorf("write boot record: %w", err)
	}
	defer unix.Close(dir)
	if err := sys.ReplaceFile(dir, RecordName, append(data, '\n'), 0o644); err != nil {
		return format.Errorf("write boot record: %w", err)
	}
	return nil
}

// size is how long the record will be, or a little less.
func (r *Record) size() int {
	size := 2 << 10
	if r.Mount != nil {
		size += 256 * len(r.Mount.Entries)
	}
	return size
}

func makeRunDir(path string) (int, error) {
	if err := sys.EnsureDirectory(path, 0o755); err != nil {
		return -1, err
	}
	return sys.OpenDirectory(path)
}

// secondsSince is a duration as the record has it.
func secondsSince(start time.Time) float64 { return time.Since(start).Seconds() }
