package initrd

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// ErrEntries is the error of a run that could not bring every entry into
// place; which ones stands in the record.
var ErrEntries = errors.New("not every entry is in place")

// Mount brings the entries into place below dir and adds them to the boot
// record, whatever comes of it. A second run finds them in place and does
// nothing.
func (h *Host) Mount(cfg *config.Config, dir string) error {
	record := &MountRecord{State: StateDone, Started: now(), Root: dir, RootID: RootID(dir)}
	if reason := mountsUnwanted(h.CommandLine); reason != "" {
		record.State, record.Reason = StateKept, reason
		h.refusal("bringing in no entries: %s", reason)
		return h.finishMount(record, nil)
	}
	root, err := h.EntryRoot(cfg, dir)
	if err != nil {
		return h.finishMount(record, err)
	}
	defer unix.Close(root.Fd)
	report := root.Mount()
	record.Entries = report.Entries
	for _, note := range report.Notes {
		record.Problems = append(record.Problems, Problem{Text: note})
	}
	if failed := report.Failed(); failed > 0 {
		err = format.Errorf("%w: %d of %d are missing", ErrEntries, failed, len(report.Entries))
	} else if root.Fresh && !leavesUnnoted(report.Entries) {
		markEntered(root.Fd)
	}
	return h.finishMount(record, err)
}

// leavesUnnoted reports whether data stays in the archive of which nothing but the
// archive knows: no source was made that could have a note of it.
func leavesUnnoted(entries []mounts.EntryResult) bool {
	for i := range entries {
		if e := &entries[i]; e.Adoption != "" && e.Left == 0 {
			return true
		}
	}
	return false
}

// PlanMount says what [Host.Mount] would do now, and changes nothing: unwanted is
// why it would bring no entries in at all.
func (h *Host) PlanMount(cfg *config.Config, dir string) (report mounts.Report, unwanted string, err error) {
	if unwanted = mountsUnwanted(h.CommandLine); unwanted != "" {
		return report, unwanted, nil
	}
	root, err := h.EntryRoot(cfg, dir)
	if err != nil {
		return report, "", err
	}
	defer unix.Close(root.Fd)
	return root.Plan(), "", nil
}

// MountImpossible records that the entries could not even be tried. It
// returns err.
func (h *Host) MountImpossible(err error) error {
	return h.finishMount(&MountRecord{Started: now()}, err)
}

// EntryRoot gathers what bringing entries in needs: the open root, and where
// the root that was archived in this boot can be seen. The caller closes Fd.
func (h *Host) EntryRoot(cfg *config.Config, dir string) (*mounts.Root, error) {
	fd, err := sys.OpenDirectory(dir)
	if err != nil {
		return nil, format.Errorf("open root: %w", err)
	}
	record, untried, err := h.rollbackRecord()
	oldRoots := openOldRoots(record, &cfg.Root, dir, fd)
	if err != nil {
		oldRoots = func() ([]mounts.OldRoot, error) { return nil, err }
	}
	stores, notes := withKept(cfg, fd)
	return &mounts.Root{
		Fd: fd, Dir: dir,
		Stores: stores, Adopt: cfg.Adopt, Notes: notes,
		// Where ebb is tried out by hand nothing is known to be lost.
		Fresh:        record.Fresh || h.Stage1 && cfg.Root.Kind != config.KindNone,
		OldRoots:     oldRoots,
		OwnFirst:     record.Archive == "",
		New:          record.Fresh && untried,
		Lock:         func() (func(), error) { return h.lock(entriesLock) },
		NewSubvolume: btrfs.CreateSubvolume,
		Observe:      func(s mounts.Step) { h.announce(s, cfg.Stores) },
		Utab:         mounts.DefaultUtab,
	}, nil
}

// announce says what is about to be changed. What is changed in a store
// outlives the boot, and is said before it is done. The mounts and mount
// points in the new root, of which there may be thousands, are gone with it:
// their lines are written together.
func (h *Host) announce(s mounts.Step, stores []config.Store) {
	for i := range stores {
		if within(s.Path, stores[i].Path) {
			h.Log.Log(kmsg.Info, "%s", s)
			return
		}
	}
	h.line = s.AppendTo(h.line[:0])
	h.Log.LogSoon(kmsg.Info, h.line)
}

// rollbackRecord is what this boot's rollback has recorded, or nothing. Untried
// says that no entries were brought in since.
func (h *Host) rollbackRecord() (rollback *RollbackRecord, untried bool, err error) {
	record, err := ReadRecord(h.RunDir, h.BootID)
	if err != nil && !errors.Is(err, ErrNoRecord) {
		return &RollbackRecord{}, false, err
	}
	if err != nil || record.Rollback == nil {
		return &RollbackRecord{}, false, nil
	}
	return record.Rollback, record.Mount == nil, nil
}

// mostTold bounds the lines about entries that are not in place: a store that
// is not there takes all of its entries along, and the console has to show the
// lines before them, too.
const mostTold = 20

// tellMissing says which entries are not in place. The record has them all.
func (h *Host) tellMissing(entries []mounts.EntryResult) {
	missing := 0
	for _, e := range entries {
		if e.OK() {
			continue
		}
		if missing++; missing <= mostTold {
			h.refusal("entry %s of store %s is not in place: %s", e.Path, e.Store, e.Reason)
		}
	}
	if missing > mostTold {
		h.refusal("%d more entries are not in place, ebb status lists them", missing-mostTold)
	}
}

// finishMount completes the record and says how it ended: a line for each
// entry that is not in place, and one for all.
func (h *Host) finishMount(record *MountRecord, err error) error {
	record.Seconds = secondsSince(record.Started)
	if record.Entries == nil {
		record.Entries = []mounts.EntryResult{} // a list in the document, of whatever length
	}
	if err != nil {
		record.State, record.Reason, record.Hint = StateFailed, err.Error(), Hint(err)
	}
	h.tellMissing(record.Entries)
	for _, p := range record.Problems {
		h.refusal("%s", p.Text)
	}
	recordErr := h.updateRecord(func(r *Record) {
		keepHistory(r.Mount, record)
		r.Mount = record
	})
	if err == nil && record.State == StateDone {
		h.info("%d entries are in place (%.3f s)", len(record.Entries), record.Seconds)
	}
	return errors.Join(err, recordErr)
}

// keepHistory carries over what an earlier run in this boot told of entries
// that the later one found in place.
func keepHistory(earlier, later *MountRecord) {
	if earlier == nil {
		return
	}
	known := map[string]mounts.EntryResult{}
	for _, e := range earlier.Entries {
		if e.State == mounts.InPlace {
			known[e.Path] = e
		}
	}
	for i, e := range later.Entries {
		if before, ok := known[e.Path]; ok && e.State == mounts.Already && before.Source == e.Source {
			later.Entries[i] = before
		}
	}
}

// Finish gives sources that were made for root alone, because their user or
// group was not known in stage 1, to their owners. It runs in the running
// system, after activation, and may be repeated.
func (h *Host) Finish(root *mounts.Root) error { return h.tellUnfinished(root.Finish()) }

// PlanFinish says what Finish would do now, and changes nothing.
func (h *Host) PlanFinish(root *mounts.Root) (mounts.Report, error) {
	report := root.PlanFinish()
	return report, h.tellUnfinished(report)
}

func (h *Host) tellUnfinished(report mounts.Report) error {
	failed := 0
	for _, e := range report.Entries {
		reason := e.Reason
		if e.Pending != "" {
			reason = "its owner is not known: " + e.Pending
		} else if e.OK() {
			continue
		}
		h.refusal("entry %s of store %s: %s", e.Path, e.Store, reason)
		failed++
	}
	if failed > 0 {
		return format.Errorf("%d entries could not be given to their owners", failed)
	}
	return nil
}
