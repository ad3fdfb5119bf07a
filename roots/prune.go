package roots

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Report is what a prune did, or would do.
type Report struct {
	Verdicts    []Verdict `json:"verdicts"` // on every archived root, the newest first
	Deleted     []uint64  `json:"deleted"`  // numbers of archived roots, in the order of deletion
	Subvolumes  int       `json:"subvolumes"`
	FreePercent uint64    `json:"free_percent"` // at the end, of what users can get
	// Short is set when too little space is free and nothing more may go.
	Short bool `json:"short,omitempty"`
}

// Prune applies the retention: what it is done with goes to the trash, and
// what is in the trash is deleted, also what an earlier run has left there.
// The remover is open on the archive. A root that cannot be deleted is in the
// error and keeps nothing else back.
//
// Young roots go, the oldest first, while less than keep.MinFreePercent is
// free; for that Prune waits, after each, until the kernel has freed its space.
func (r *Remover) Prune(verdicts []Verdict, keep config.Keep) (*Report, error) {
	report := &Report{Verdicts: verdicts, Deleted: []uint64{}}
	ids, err := r.EmptyTrash()
	failed := []error{err}
	for _, v := range slices.Backward(verdicts) {
		if !v.Deletes() {
			continue
		}
		r.Announce("root %d: %s", v.Number, v.Reason)
		deleted, err := r.delete(v.Number, report)
		ids, failed = append(ids, deleted...), append(failed, err)
	}
	report.Subvolumes = len(ids)
	failed = append(failed, r.freeSpace(verdicts, keep, ids, report))
	return report, errors.Join(failed...)
}

// delete deletes one archived root.
func (r *Remover) delete(number uint64, report *Report) (ids []uint64, err error) {
	ids, err = r.trash(number, false)
	if err != nil {
		return ids, err
	}
	report.Deleted = append(report.Deleted, number)
	if len(ids) > 0 {
		return ids, nil // there was no room for the trash
	}
	trash, err := r.openTrash(false)
	if err != nil {
		return nil, err
	}
	defer unix.Close(trash)
	return r.removeTrashed(trash, archive.DirectoryName(number))
}

// freeSpace deletes the oldest roots that only their age protects while too
// little space is free. ids are subvolumes that this run has deleted already.
func (r *Remover) freeSpace(verdicts []Verdict, keep config.Keep, ids []uint64, report *Report) error {
	var failed []error
	for _, v := range slices.Backward(verdicts) {
		if !v.DeletesForSpace() {
			continue
		}
		enough, err := r.isEnough(keep, ids, report)
		if enough || err != nil {
			return errors.Join(append(failed, err)...)
		}
		r.Announce("root %d: %d %% of the space is free, %d %% is wanted", v.Number, report.FreePercent, keep.MinFreePercent)
		deleted, err := r.delete(v.Number, report)
		ids, failed = append(ids, deleted...), append(failed, err)
		report.Subvolumes += len(deleted)
	}
	enough, err := r.isEnough(keep, ids, report)
	report.Short = !enough
	return errors.Join(append(failed, err)...)
}

// isEnough reports whether enough space is free, at the latest when the kernel
// has taken apart what was deleted.
func (r *Remover) isEnough(keep config.Keep, ids []uint64, report *Report) (enough bool, err error) {
	if report.FreePercent, err = FreePercent(r.top); err != nil || report.FreePercent >= keep.MinFreePercent {
		return err == nil, err
	}
	if err := btrfs.WaitCleaned(r.top, ids); err != nil {
		return false, err
	}
	report.FreePercent, err = FreePercent(r.top)
	return err == nil && report.FreePercent >= keep.MinFreePercent, err
}

// RememberClock notes that the clock was believed in this run.
func (r *Remover) RememberClock(c Clock) error { return archive.SetLastClock(r.archive, c.Now) }

// FreePercent is how much of a file system's space is free for users, rounded
// down. On btrfs it is the kernel's estimate, which knows about profiles and
// metadata (statfs(2), f_bavail).
func FreePercent(fd int) (uint64, error) {
	var s unix.Statfs_t
	if err := sys.StatFilesystem(fd, &s); err != nil {
		return 0, err
	}
	if s.Blocks == 0 {
		return 100, nil
	}
	return s.Bavail * 100 / s.Blocks, nil
}
