package initrd

import (
	"errors"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// Rollback makes the root fresh, as the config says, and writes the boot
// record, whatever comes of it. A second run in one boot does nothing.
//
// An error that is [ErrRefused] means that nothing was changed. After any
// other error the root is wholly the old one or wholly the fresh one, and the
// next run clears up.
func (h *Host) Rollback(cfg *config.Config) error {
	// Held until the record is written, by which the next one knows. Without it
	// the worst case is that two at once make two rollbacks, one after the other.
	if unlock, err := h.lock(rollbackLock); err == nil {
		defer unlock()
	}
	done, err := h.alreadyRolledBack()
	if err != nil {
		return err
	}
	if done {
		return h.markReady() // the run may have ended between the record and this
	}
	r := &rollback{host: h, root: &cfg.Root}
	r.record = RollbackRecord{Kind: string(cfg.Root.Kind), Started: now()}
	err = r.run()
	if err == nil && r.record.State == "" {
		return nil // another one has done it meanwhile, and recorded it
	}
	failed := err
	if err = h.finishRollback(&r.record, err); failed == nil && r.stale != "" {
		err = errors.Join(err, format.Errorf("%w: %s", errStale, r.stale))
	}
	return err
}

// errStale is the error of a rollback that has made the root fresh and another
// subvolume of the config not. The machine boots with both, and hears of it.
var errStale = errors.New("the root is fresh, and what is to go with it is not")

// RollbackImpossible records that a rollback could not even be tried, because
// the config could not be read, say. It returns err.
func (h *Host) RollbackImpossible(err error) error {
	if done, recordErr := h.alreadyRolledBack(); done || recordErr != nil {
		return errors.Join(err, recordErr)
	}
	return h.finishRollback(&RollbackRecord{Started: now()}, err)
}

// alreadyRolledBack reports whether this boot has its fresh root.
func (h *Host) alreadyRolledBack() (bool, error) {
	record, err := ReadRecord(h.RunDir, h.BootID)
	if errors.Is(err, ErrNoRecord) {
		return false, nil
	}
	if err != nil {
		return false, &refusal{
			reason: format.Sprintf("cannot tell whether this boot had its rollback: %v", err),
			hint:   "remove the record by hand if you are sure that it had none",
		}
	}
	if record.Rollback == nil || record.Rollback.State != StateDone {
		return false, nil
	}
	h.info("this boot has had its rollback, nothing to do")
	return true, nil
}

// finishRollback completes the record and says how it ended, in one line.
func (h *Host) finishRollback(record *RollbackRecord, err error) error {
	record.Seconds = secondsSince(record.Started)
	switch {
	case err == nil:
	case errors.Is(err, ErrRefused):
		record.State = StateRefused
	default:
		record.State = StateFailed
	}
	if err != nil {
		record.Reason, record.Hint = err.Error(), Hint(err)
		if errno := unix.Errno(0); errors.As(err, &errno) {
			record.Errno = int(errno)
		}
	}
	recordErr := h.updateRecord(func(r *Record) {
		// That a second one had to stand back takes nothing from the first.
		if r.Rollback == nil || r.Rollback.State != StateDone || record.State != StateRefused {
			r.Rollback = record
		}
	})
	if err == nil {
		h.info("%s", record.summary())
		recordErr = errors.Join(recordErr, h.markReady())
	}
	return errors.Join(err, recordErr)
}

func (h *Host) markReady() error {
	dir, err := makeRunDir(h.RunDir)
	if err != nil {
		return format.Errorf("write %s: %w", ReadyName, err)
	}
	defer unix.Close(dir)
	if err := sys.ReplaceFile(dir, ReadyName, nil, 0o644); err != nil {
		return format.Errorf("write %s: %w", ReadyName, err)
	}
	return nil
}

func (r *RollbackRecord) summary() string {
	switch {
	case r.State == StateKept:
		return "the root is kept as it was: " + r.Reason
	case r.Kind == string(config.KindNone):
		return "the root is not ebb's to make fresh (kind none)"
	case r.Archive != "":
		return format.Sprintf("the root is fresh, the old one is %q (%.3f s)", r.Archive, r.Seconds)
	}
	return format.Sprintf("the root is fresh (%.3f s)", r.Seconds)
}

// StepOpen is the step of the record in which the file system is opened: its
// first mount, so the one that replays its log.
const StepOpen = "open"

// rollback is one run.
type rollback struct {
	host   *Host
	root   *config.Root
	record RollbackRecord
	stale  string // a subvolume beside the root that could not be made fresh
}

func (r *rollback) run() error {
	wish := rollbackWish(r.host.CommandLine)
	r.host.debug("root of kind %s on %q, subvolume %q, blank %q, archive %q; wish: keep %v, copy of %d",
		r.root.Kind, r.root.Device, r.root.Subvolume, r.root.Blank, r.root.Archive, wish.keep, wish.copyOf)
	if r.root.Kind == config.KindNone {
		r.record.State = StateDone
		return nil
	}
	if wish.keep {
		r.host.refusal("keeping the root: %s", wish.reason)
		r.record.State, r.record.Reason = StateKept, wish.reason
		return nil
	}
	if r.root.Kind == config.KindTmpfs {
		return r.runTmpfs()
	}
	return r.runBtrfs(wish.copyOf)
}

func (r *rollback) runBtrfs(copyOf uint64) error {
	r.record.Device, r.record.CopyOf = r.root.Device, copyOf
	// By the default, the machine boots on with the root that is there.
	table, err := r.guardBeforeOpening(r.root.OnFailure != config.Emergency)
	if err != nil {
		return err
	}
	top, err := timed(r, StepOpen, func() (int, error) { return openTopLevel(r.root) })
	if err != nil {
		return err
	}
	defer unix.Close(top)
	if err := r.rollBack(top, copyOf, func(members []MemberFacts) error { return guardLiveRoot(top, members, table) }); err != nil {
		return err
	}
	if err := keepOpen(top); err != nil {
		r.problem(err.Error(), "the file system is mounted a second time, which takes a little longer")
	}
	return nil
}

// guardBeforeOpening are the guards that need nothing of the file system. With
// bootsOn the root is mounted right after a refusal.
func (r *rollback) guardBeforeOpening(bootsOn bool) (table []mounts.MountInfo, err error) {
	if image := guardHibernation(r.host.CommandLine, systemResumeSources()); image != nil {
		return nil, image.refusal(bootsOn || r.host.RootIsMounted())
	}
	r.host.debug("no hibernation image is pending, as far as the kernel command line, /sys/power/resume and EFI tell")
	if table, err = mounts.ReadMountInfo(); err != nil {
		return nil, err
	}
	return table, guardSysroot(r.host.Sysroot, table)
}

// rollBack plans and carries out a rollback on an open file system. The archive
// is locked before anything is looked at, so that what was seen stays true.
func (r *rollback) rollBack(top int, copyOf uint64, guard func([]MemberFacts) error) error {
	if fs, err := btrfs.FSInfo(top); err == nil {
		r.record.Filesystem = &fs.UUID
	}
	x := newExecutor(r.root, r.host.boot(), top)
	defer x.close()
	isThere, err := x.openArchive()
	if err != nil {
		return err
	}
	if err := r.look(x, copyOf, guard); err != nil {
		return err
	}
	if !isThere {
		if err := r.carryOut(x, []Step{{Action: MakeArchive}}); err != nil {
			return err
		}
		if err := r.look(x, copyOf, guard); err != nil {
			return err
		}
	}
	// Another run may have held the lock until now.
	if done, err := r.host.alreadyRolledBack(); done || err != nil {
		return err
	}
	plan := Plan(x.facts)
	x.members = plan.Members
	if err := r.carryOut(x, plan.Steps); err != nil {
		return err
	}
	r.tell(x, plan.Number)
	r.tellNotCopied(top)
	if err := r.verify(top); err != nil {
		r.record.Fresh = false
		return err
	}
	return nil
}

// look reads the facts, and refuses what they forbid.
func (r *rollback) look(x *executor, copyOf uint64, guard func([]MemberFacts) error) (err error) {
	x.facts, err = timed(r, "look", func() (*Facts, error) { return readFacts(x.top, r.root, copyOf) })
	if err != nil {
		return err
	}
	r.debugFacts(x.facts)
	return guard(x.facts.Members)
}

// debugFacts says what the plan is made from.
func (r *rollback) debugFacts(f *Facts) {
	r.host.debug("archive there: %v, highest number %d, highest ever %d, unfinished rollback: %v", f.ArchiveExists, f.Highest, f.Used, f.Next != nil)
	for _, m := range f.Members {
		r.host.debug("%s: subvolume %q is %s, %q is %s", m.Name, m.Path, m.Live, m.From, m.Blank)
	}
}

// carryOut makes the steps, each announced before. Once the fresh root is in
// its place, what goes wrong behind that is worth a word and no reason to call
// the root anything but fresh: the next run finishes what is left.
func (r *rollback) carryOut(x *executor, steps []Step) error {
	for i := range steps {
		s := &steps[i]
		text := s.Text(r.root)
		r.host.info("%s", text)
		if s.Recovery {
			r.record.Recovered = append(r.record.Recovered, text)
		}
		_, err := timed(r, string(s.Action), func() (struct{}, error) { return struct{}{}, x.do(s) })
		if err == nil {
			continue
		}
		err = format.Errorf("%s: %w", text, err)
		switch {
		case s.Action == Seal:
			r.problem(err.Error(), Hint(err))
		case x.inPlace[archive.Root] && !s.Recovery:
			r.problem(err.Error(), "the next boot finishes it")
			return nil
		default:
			return err
		}
	}
	return nil
}

func (r *rollback) problem(text, hint string) {
	r.host.refusal("%s", text)
	r.record.Problems = append(r.record.Problems, Problem{Text: text, Hint: hint})
}

// tell writes what was made into the record.
func (r *rollback) tell(x *executor, number uint64) {
	r.record.State, r.record.Fresh = StateDone, true
	r.record.Sequence = number
	directory := path.Join(r.root.Archive, archive.DirectoryName(number))
	if !x.archived {
		directory = path.Join(r.root.Archive, archive.Next)
	}
	for _, m := range x.members {
		if !x.inPlace[m.Name] {
			r.stale = m.Path
			continue
		}
		fresh := x.fresh[m.Name]
		s := SubvolumeRecord{Name: m.Name, Path: m.Path, ID: fresh.ID, UUID: fresh.UUID}
		if m.Blank != nil {
			s.Blank = m.From
		}
		if m.Live != nil {
			r.record.Archive = directory
			s.OldID, s.OldUUID = m.Live.ID, &m.Live.UUID
			s.Archived = path.Join(r.record.Archive, m.Name)
		}
		r.record.Subvolumes = append(r.record.Subvolumes, s)
	}
}

// tellNotCopied names the subvolumes in the archived root that the fresh one is a
// copy of: a snapshot has empty directories in their place. Worst case of a list
// that cannot be read: nobody is told.
func (r *rollback) tellNotCopied(top int) {
	if r.record.CopyOf == 0 {
		return
	}
	listing, err := btrfs.List(top)
	if err != nil {
		r.host.debug("list subvolumes: %v", err)
	}
	dir := path.Join(r.root.Archive, archive.DirectoryName(r.record.CopyOf)) + "/"
	for _, s := range listing {
		p, err := listing.Path(s.ID)
		if name, inside := strings.CutPrefix(p, dir); err == nil && inside && strings.Contains(name, "/") {
			r.record.NotCopied = append(r.record.NotCopied, p)
			r.host.refusal("not in the copy: subvolume %q", p)
		}
	}
}

// verify looks whether the live names lead to the fresh subvolumes.
func (r *rollback) verify(top int) error {
	for _, s := range r.record.Subvolumes {
		live, err := identify(top, s.Path)
		if err != nil {
			return err
		}
		if live == nil || live.UUID != s.UUID {
			return format.Errorf("subvolume %q is not the fresh one after the rollback", s.Path)
		}
	}
	return nil
}

// timed runs one part of a rollback and notes how long it took.
func timed[T any](r *rollback, name string, do func() (T, error)) (T, error) {
	start := time.Now()
	result, err := do()
	step := StepRecord{Name: name, Seconds: secondsSince(start)}
	r.record.Steps = append(r.record.Steps, step)
	r.host.debug("%s took %.6f s", name, step.Seconds)
	return result, err
}
