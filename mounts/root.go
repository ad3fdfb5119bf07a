package mounts

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
)

// DefaultUtab is where libmount looks for mount options that the kernel does
// not keep.
const DefaultUtab = "/run/mount/utab"

// Root is a root directory that entries are brought into place in, and all
// that is needed for it. Its methods use one thread and are not to be called
// at the same time; the umask is taken to be theirs.
type Root struct {
	Fd     int            // the root directory, not O_PATH
	Dir    string         // its absolute path in this process: "/sysroot", or "/"
	Stores []config.Store // their paths are below the root
	Adopt  config.Adopt

	// Fresh says that the root is not there any more at the next boot. Then a
	// store has to be a mount of its own: what is kept in a directory of the
	// root, because the store's file system was not mounted, would be lost.
	Fresh bool

	// Lock keeps other processes out until unlock is called: a run that changes
	// something takes it first. Nil takes none.
	Lock func() (unlock func(), err error)

	// OldRoots opens the root that was archived in this boot, nil when there is
	// none, and behind it older ones, if the boots in between came to an end
	// before all entries were in place. The descriptors are closed by the run.
	// It is not called before there is an entry that might have data there. With
	// an error it may still return those before the last, which it could not open.
	OldRoots func() ([]OldRoot, error)

	// New says that what the root has is from where it was made, as nobody has
	// used it yet: then the copy of a file in the store is always the newer one.
	New bool

	// OwnFirst says that what the root itself has is newer than what they have: it
	// was not made fresh in this boot.
	OwnFirst bool

	// NewSubvolume makes a btrfs subvolume; dirFd takes ioctls. Nil makes
	// plain directories.
	NewSubvolume func(dirFd int, name string) error

	// Take copies what from is open on to name in the directory toDir, which is
	// root's alone, for TakeIn. Nil copies once, whatever is changed meanwhile.
	Take func(from, toDir int, name string) (fd int, stats copytree.Stats, err error)

	// SetAside lets a link take the place of what is there, which then gets
	// another name. What is there has to be in the store by then.
	SetAside bool

	// Notes begin the notes of each report.
	Notes []string

	// Observe is called before each change, and may be nil.
	Observe func(Step)

	Utab  string // usually DefaultUtab; "" writes none
	NoAPI bool   // use mount(2) only, as on kernels without open_tree(2)

	// Patience is how long SyncBack waits for an entry whose file system may not
	// answer. Each that does not halves it. Zero waits for ever.
	Patience time.Duration
	stuck    []*pass // those that it has given up
}

// OldRoot is a subvolume of an archived root: the root itself, or what was
// mounted in it and rolled back along with it.
type OldRoot struct {
	// Fd is its top directory. It is negative where nothing was archived of what
	// is mounted there: what an older boot had is in place.
	Fd     int
	Mount  string // its place in the root: "" of the root itself, or "/home" of an ephemeral home
	Number uint64 // of the archived root
}

// State says how an entry stands.
type State string

// The states of an entry.
const (
	InPlace   State = "in-place"  // brought into place by this run
	Already   State = "already"   // it was in place before
	Pending   State = "pending"   // in place for root alone: an owner is not known yet
	Waiting   State = "waiting"   // a sync file that nobody has made yet
	Unsettled State = "unsettled" // of SyncBack: not to be copied back yet
	Planned   State = "planned"   // of a plan: it would be brought into place
	Missing   State = "missing"   // of a check: not in place
	Unseen    State = "unseen"    // of a check or a plan: only root can look there
	Refused   State = "refused"   // hostile, or of the wrong type
	Failed    State = "failed"
)

// EntryResult is the result for one entry.
type EntryResult struct {
	Path      string     `json:"path"`
	Store     string     `json:"store"`
	Source    string     `json:"source"`
	How       config.How `json:"how"`
	Directory bool       `json:"directory,omitempty"`
	Required  bool       `json:"required,omitempty"`
	Kept      string     `json:"kept,omitempty"` // since when, of what "ebb keep" has made and nothing declares
	State     State      `json:"state"`
	Reason    string     `json:"reason,omitempty"`

	Created  bool            `json:"created,omitempty"`  // the source was made by this run
	Adopted  *copytree.Stats `json:"adopted,omitempty"`  // the source was copied from an old root
	Adoption string          `json:"adoption,omitempty"` // why there was data and it was not copied
	Left     uint64          `json:"left,omitempty"`     // the archived root that has it, where a note on the source says so
	Pending  string          `json:"pending,omitempty"`  // user:group:mode that the source is to get
	Notes    []string        `json:"notes,omitempty"`    // what did not go as asked, without harm
	Steps    []string        `json:"steps,omitempty"`    // of a plan: what would be done
	Aside    string          `json:"-"`                  // where what a link has taken the place of is now
}

// OK reports whether the entry is as good as it can be at this point.
func (r *EntryResult) OK() bool {
	switch r.State {
	case Refused, Failed, Missing:
		return false
	}
	return true
}

// Report is the result of a run.
type Report struct {
	Entries []EntryResult `json:"entries"`
	Notes   []string      `json:"notes,omitempty"` // what concerns no single entry
}

// Failed counts the entries that are not in place.
func (r *Report) Failed() (count int) {
	for i := range r.Entries {
		if !r.Entries[i].OK() {
			count++
		}
	}
	return count
}

// RequiredFailed reports whether an entry without which the boot must not go
// on is not in place.
func (r *Report) RequiredFailed() bool {
	for i := range r.Entries {
		if r.Entries[i].Required && !r.Entries[i].OK() {
			return true
		}
	}
	return false
}

// Mount brings all entries into place. One that fails does not stop the
// others. A second run finds everything in place and does nothing.
func (r *Root) Mount() Report { return r.each(false, all, (*placing).place) }

// Plan says what Mount would do now, and does nothing: it is the same run
// without the changing calls.
func (r *Root) Plan() Report { return r.each(true, all, (*placing).place) }

func all(*config.Entry) bool { return true }

// each does something with every wanted entry, in order.
func (r *Root) each(dry bool, want func(*config.Entry) bool, do func(*placing) error) Report {
	u := newRun(r, dry)
	defer u.close()
	defer u.lock()()
	items := Order(r.Stores)
	report := Report{Entries: make([]EntryResult, 0, len(items))}
	if !dry && r.Utab != "" {
		u.marks = make([]mark, 0, len(items))
	}
	p := &placing{run: u}
	for _, it := range items {
		if !want(it.Entry) {
			continue
		}
		report.Entries = append(report.Entries, EntryResult{
			Path: it.Entry.Path, Store: it.Store.Path, Source: it.Source(),
			How: it.Entry.How, Directory: it.Entry.Directory, Required: it.Entry.Required, Kept: it.Entry.Kept,
		})
		p.item, p.result = it, &report.Entries[len(report.Entries)-1]
		p.finish(do(p))
	}
	if err := u.writeUtab(); err != nil {
		u.note(err.Error())
	}
	if len(r.Notes) > 0 {
		u.notes = append(append([]string(nil), r.Notes...), u.notes...)
	}
	report.Notes = u.notes
	return report
}

// finish closes what is open of an entry and enters how it ended.
func (p *placing) finish(err error) {
	p.source.close()
	p.target.close()
	p.source, p.target = side{}, side{}
	r := p.result
	switch {
	case isRefusal(err):
		r.State, r.Reason = Refused, err.Error()
	case p.run.dry && errors.Is(err, unix.EACCES):
		r.State, r.Reason = Unseen, err.Error()
	case err != nil:
		r.State, r.Reason = Failed, err.Error()
	case r.State == "" && p.run.dry:
		r.State = Planned
	case r.State == "" && r.Pending != "":
		r.State = Pending
	case r.State == "":
		r.State = InPlace
	}
}

func isRefusal(err error) bool {
	if err == nil { // as it mostly is; the variable below is one on the heap
		return false
	}
	var refusal *Refusal
	return errors.As(err, &refusal)
}
