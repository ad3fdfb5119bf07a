package initrd

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
)

// statusVersion is the version of the format that a status is printed in.
const statusVersion = 1

// Status is what "ebb status" reports: what the boot record tells, held
// against what is really there.
type Status struct {
	Version  int                  `json:"version"`
	OK       bool                 `json:"ok"`
	Problems []Problem            `json:"problems"`
	BootID   string               `json:"boot_id"`
	Root     RootStatus           `json:"root"`
	Entries  []mounts.EntryResult `json:"entries"` // as they are now
	Record   *Record              `json:"record"`  // as this boot has written it; null: ebb has not run
}

// RootStatus is the root as it is.
type RootStatus struct {
	Kind      string      `json:"kind"`
	Fresh     bool        `json:"fresh"`   // new in this boot, and the machine runs on it
	Mounted   bool        `json:"mounted"` // in stage 1 it may not be yet
	Subvolume string      `json:"subvolume,omitempty"`
	ID        uint64      `json:"id,omitempty"`
	UUID      *btrfs.UUID `json:"uuid,omitempty"`
	SizeBytes uint64      `json:"size_bytes,omitempty"` // of a tmpfs
	Archived  string      `json:"archived,omitempty"`   // where the old root is
}

func (s *Status) problem(text, hint string) {
	s.Problems = append(s.Problems, Problem{Text: text, Hint: hint})
}

// Status compares the record of this boot with the root at dir and the mounts
// in it. Its problems are all that is not as the config wants it.
func (h *Host) Status(cfg *config.Config, dir string) (*Status, error) {
	s := &Status{Version: statusVersion, BootID: h.BootID, Problems: []Problem{}, Entries: []mounts.EntryResult{}}
	s.Root.Kind = string(cfg.Root.Kind)
	record, err := ReadRecord(h.RunDir, h.BootID)
	switch {
	case errors.Is(err, ErrNoRecord):
		s.problem(err.Error(), "were ebb-rollback.service and ebb-mount.service started? journalctl -b -u 'ebb-*' tells")
	case err != nil:
		s.problem(err.Error(), "")
	}
	s.Record = record
	if err := s.readRoot(dir); err != nil {
		return nil, err
	}
	if s.Root.Mounted {
		s.judgeImage(findImage(h.CommandLine, systemResumeSources()))
	}
	if record != nil {
		s.judgeRollback(record.Rollback, cfg)
		s.judgeMount(record.Mount)
	}
	if err := s.judgeEntries(h, cfg, dir); err != nil {
		return nil, err
	}
	s.OK = len(s.Problems) == 0
	return s, nil
}

// readRoot looks at what is mounted at dir.
func (s *Status) readRoot(dir string) error {
	fd, err := sys.OpenDirectory(dir)
	if err != nil {
		return format.Errorf("open root: %w", err)
	}
	defer unix.Close(fd)
	st, err := sys.Stat(fd)
	if err != nil {
		return err
	}
	s.Root.Mounted = st.IsMountRoot()
	if info, err := btrfs.Info(fd); err == nil {
		s.Root.ID, s.Root.UUID = info.ID, &info.UUID
	}
	var fs unix.Statfs_t
	if err := sys.StatFilesystem(fd, &fs); err != nil {
		return format.Errorf("%s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC && s.Root.Kind == string(config.KindTmpfs) {
		s.Root.Fresh, s.Root.SizeBytes = true, fs.Blocks*uint64(fs.Bsize)
	}
	return nil
}

// judgeImage warns of a hibernation image that is older than the mount of the
// root: "noresume" gives it up for one boot only, and swap that is not used does
// not lose it. Whoever may not look for one is not told of any.
func (s *Status) judgeImage(image *imageTrace) {
	if image == nil || image.err != nil {
		return
	}
	s.problem("there is a hibernation image on "+image.where+", which is older than the mount of the root",
		"never resume from it, that would destroy the file system: "+image.giveUp+" gives it up")
}

// judgeRollback says what is wrong with the root.
func (s *Status) judgeRollback(r *RollbackRecord, cfg *config.Config) {
	if cfg.Root.Kind == config.KindNone {
		return
	}
	if r == nil {
		s.Root.Fresh = false
		s.problem("the root was not made fresh: ebb rollback has not run in this boot",
			"journalctl -b -u ebb-rollback.service tells why; was the device there in time?")
		return
	}
	for _, p := range r.Problems {
		s.problem(p.Text, p.Hint)
	}
	switch r.State {
	case StateDone:
		s.judgeRoot(r)
	case StateKept:
		s.Root.Fresh = false
		s.problem("the root was kept as it was: "+r.Reason, "the next boot without that parameter makes it fresh")
	default:
		s.Root.Fresh = false
		s.problem("the root was not made fresh: "+r.Reason, r.Hint)
	}
}

// judgeRoot compares the root that the rollback made with the one that the
// machine runs on.
func (s *Status) judgeRoot(r *RollbackRecord) {
	made, isBtrfs := r.Subvolume("root")
	if !isBtrfs {
		s.judgeTmpfs(r)
		return
	}
	s.Root.Subvolume, s.Root.Archived = made.Path, made.Archived
	switch {
	case !s.Root.Mounted:
		return // stage 1, before sysroot.mount
	case s.Root.UUID == nil || *s.Root.UUID != made.UUID:
		s.problem(format.Sprintf("the machine runs on another root than the fresh one (subvolume %q, id %d)", made.Path, made.ID),
			"the mount options of fileSystems.\"/\" have to name the same subvolume as the config")
		return
	}
	s.Root.Fresh = r.Fresh
}

// judgeTmpfs looks whether the root is a tmpfs, and still of the size that the
// rollback has given it: systemd-remount-fs.service applies the options of the
// fstab once more. The kernel counts in pages (shmem_parse_one).
func (s *Status) judgeTmpfs(r *RollbackRecord) {
	page := uint64(unix.Getpagesize())
	size := (r.SizeBytes + page - 1) / page * page
	switch {
	case !s.Root.Mounted:
	case !s.Root.Fresh:
		s.problem("the root is not the tmpfs that ebb made", "fileSystems.\"/\" has to be a tmpfs, too")
	case size != 0 && s.Root.SizeBytes != size:
		s.problem(format.Sprintf("the root has %d bytes, and not %d as ebb has made it", s.Root.SizeBytes, size),
			"the options of fileSystems.\"/\" must not have a size, the config has it")
	}
}

func (s *Status) judgeMount(m *MountRecord) {
	switch {
	case m == nil:
		s.problem("the entries were not brought in: ebb mount has not run in this boot", "journalctl -b -u ebb-mount.service tells why")
	case m.State == StateKept:
		s.problem("no entries were brought in: "+m.Reason, "the next boot without that parameter brings them in")
	case m.State == StateFailed && len(m.Entries) == 0:
		s.problem("the entries were not brought in: "+m.Reason, m.Hint)
	}
	if m == nil {
		return
	}
	for _, p := range m.Problems {
		s.problem(p.Text, p.Hint)
	}
}

// judgeEntries looks at each entry as it is now.
func (s *Status) judgeEntries(h *Host, cfg *config.Config, dir string) error {
	root, err := h.EntryRoot(cfg, dir)
	if err != nil {
		return err
	}
	defer unix.Close(root.Fd)
	report := root.Check()
	s.Entries = append(s.Entries, report.Entries...)
	told := map[string]mounts.EntryResult{}
	if s.Record != nil && s.Record.Mount != nil {
		for _, e := range s.Record.Mount.Entries {
			told[e.Path] = e
		}
	}
	for i, e := range s.Entries {
		if before := told[e.Path]; before.Adoption != "" && (before.Left == 0 || unix.Geteuid() != 0) {
			e.Adoption = before.Adoption // nothing but the record tells
		}
		if e.Adoption != "" {
			s.problem(format.Sprintf("entry %s: %s", e.Path, e.Adoption), "")
		}
		if e.OK() {
			continue
		}
		if before, ok := told[e.Path]; ok && !before.OK() {
			s.Entries[i].Reason = before.Reason // the cause rather than the effect
		}
		s.problem(format.Sprintf("entry %s of store %s is not in place: %s", e.Path, e.Store, s.Entries[i].Reason), "")
	}
	if !h.Stage1 && s.Record != nil && s.Record.Baseline != nil {
		s.judgeOwners(root)
	}
	return nil
}

// judgeOwners says which entries still wait for their owner, or have directories
// above them that do. Until activation is over it may be about to make them.
func (s *Status) judgeOwners(root *mounts.Root) {
	for _, e := range root.PlanFinish().Entries {
		what, hint := format.Sprintf("entry %s of store %s is open to root alone: ", e.Path, e.Store), "ebb mount --finish --root / gives it to them"
		switch {
		case e.Pending != "":
			s.problem(what+"its owner is not known: "+e.Pending, "mend the user or the group in the configuration, or make them; then "+hint)
		case len(e.Steps) > 0:
			s.problem(what+"its owner was not known at boot", hint)
		}
	}
}

// MissingRequired returns the entries that the machine cannot do without and
// that are not in place. Where the kernel command line wants none at all, to
// rescue the machine, none is missing, and kept says so.
func (s *Status) MissingRequired() (missing []mounts.EntryResult, kept string) {
	if s.Record != nil && s.Record.Mount != nil && s.Record.Mount.State == StateKept {
		return nil, s.Record.Mount.Reason
	}
	for _, e := range s.Entries {
		if e.Required && !e.OK() {
			missing = append(missing, e)
		}
	}
	return missing, ""
}
