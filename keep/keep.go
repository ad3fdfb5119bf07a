package keep

import (
	"errors"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/internal/format"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/internal/walk"
	"github.com/ebb-nix/ebb/mounts"
)

// Machine is what keeping works on.
type Machine struct {
	// Root is the running system; its stores have the entries that are
	// declared, and those that were kept before.
	Root *mounts.Root
	// Ephemeral are the directories of mounts that each boot makes fresh,
	// besides the root: an ephemeral home.
	Ephemeral []string
	// Boot are the entries of this boot. What it could not bring in is brought in
	// by the next one, out of the old root.
	Boot []mounts.EntryResult
	// Lock keeps other copies of live data away; nil takes none.
	Lock func() (unlock func(), err error)
	// Progress is called while data is copied; an error of it ends the copy,
	// and nothing is left of it.
	Progress func(path string, s *copytree.Stats) error
	Proc     string              // usually /proc
	Passwd   string              // usually /etc/passwd
	Quote    func(string) string // of an argument of a command that is to be typed
	DryRun   bool
	Measure  bool // a dry run says how much would be copied
}

// Result is what became of a path or an entry.
type Result struct {
	Path      string     `json:"path"`
	Store     string     `json:"store"`
	Source    string     `json:"source"`
	How       config.How `json:"how"`
	Directory bool       `json:"directory"`
	State     State      `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	WayOut    []string   `json:"way_out,omitempty"` // what to type, a line each

	Size     *walk.Usage           `json:"size,omitempty"`     // what would be copied, in a dry run
	Stats    *copytree.Stats       `json:"stats,omitempty"`    // what was copied
	Passes   int                   `json:"passes,omitempty"`   // over the data, until it stood still
	Restless []string              `json:"restless,omitempty"` // what never stood still
	Late     []string              `json:"late,omitempty"`     // what was changed in the old place after the copy
	Differs  *copytree.Differences `json:"differs,omitempty"`  // what is there from what the store has
	Users    []User                `json:"users,omitempty"`    // who still has the old place open
	Notes    []string              `json:"notes,omitempty"`
	Nix      string                `json:"nix,omitempty"` // the lines that declare it

	entry config.Entry
	aside string // where what a link has taken the place of is now
	took  *taking
	begun int64 // before anything was looked at, in seconds of Unix time
}

// State is how a path stands after the run.
type State string

// The states of a path.
const (
	Kept     State = "kept"     // copied into the store, and in place
	Placed   State = "in-place" // brought into place; there was nothing to copy
	Already  State = "already"  // an entry keeps it
	Planned  State = "planned"  // of a dry run: nothing keeps it from being done
	Conflict State = "conflict" // there is data in both places, and nothing was changed
	Refused  State = "refused"
	Failed   State = "failed"
)

// OK reports whether the path is kept, or would be.
func (r *Result) OK() bool { return r.State != Conflict && r.State != Refused && r.State != Failed }

func (r *Result) end(state State, reason string, wayOut ...string) {
	r.State, r.Reason, r.WayOut = state, reason, wayOut
}

// Keep keeps one path, a clean absolute one, in the given store: it is copied,
// noted in the list of the store, and brought into place over itself. How is
// empty for what suits it. A second run finds it kept.
func (m *Machine) Keep(p, store string, how config.How) *Result {
	r := &Result{Path: p, Store: store, Source: store + p, How: how}
	defer r.close()
	if !m.prepare(r) {
		return r
	}
	root := m.alone(&r.entry, store)
	both := root.Compare(func(*config.Entry) bool { return true })[0]
	switch {
	case both.Err != nil:
		r.end(Failed, both.Err.Error())
		return r
	case both.Source && both.Differences.Any():
		r.Differs = &both.Differences
		m.conflict(r, "keep "+m.Quote(p))
		return r
	case m.DryRun && !both.Source:
		m.measure(r)
	case m.DryRun:
		r.State = Planned
	case !both.Source && !m.takeIn(root, r):
		return r
	}
	r.Nix = m.Nix(store, []config.Entry{r.entry})
	if m.DryRun {
		return r
	}
	if err := m.change(store, func(l []config.Entry) []config.Entry { return append(without(l, p), r.entry) }); err != nil {
		r.end(Failed, "it is in the store, but that could not be noted there: "+err.Error(), "ebb keep "+m.Quote(p))
		return r
	}
	if m.place(root, r, Kept) {
		m.lookBack(r)
	}
	return r
}

// Since is when the path was kept, empty for a declared entry.
func (r *Result) Since() string { return r.entry.Kept }

// Entries are those of what was kept, or would be.
func Entries(results []*Result) (entries []config.Entry) {
	for _, r := range results {
		if r.State == Kept || r.State == Planned {
			entries = append(entries, r.entry)
		}
	}
	return entries
}

// Nix gives the lines that declare entries of a store.
func (m *Machine) Nix(store string, entries []config.Entry) string {
	return readHomes(m.Passwd).nix(store, entries)
}

func (r *Result) close() {
	if r.took != nil {
		r.took.close()
	}
}

// alone is the root with one entry only.
func (m *Machine) alone(e *config.Entry, store string) *mounts.Root {
	root := *m.Root
	root.Stores = []config.Store{{Path: store, Entries: []config.Entry{*e}}}
	root.OldRoots = nil // what counts is what is there now
	root.Notes = nil
	return &root
}

// takeIn copies what is there into the store.
func (m *Machine) takeIn(root *mounts.Root, r *Result) bool {
	r.took = &taking{old: -1}
	if m.Progress != nil {
		r.took.check = func(s *copytree.Stats) error {
			return m.Progress(r.Path, s)
		}
	}
	copied := *root
	copied.Lock = m.Lock
	var stats copytree.Stats
	copied.Take = func(from, toDir int, name string) (int, copytree.Stats, error) {
		fd, s, err := r.took.take(from, toDir, name)
		stats = s
		return fd, s, err
	}
	report := copied.TakeIn()
	r.Notes = append(r.Notes, report.Notes...)
	if e := &report.Entries[0]; !e.OK() {
		r.end(stateOf(e.State), e.Reason)
		return false
	}
	r.Stats, r.Passes, r.Restless = &stats, r.took.passes, r.took.restless.Paths
	if stats.Skipped > 0 {
		r.Notes = append(r.Notes, format.Sprintf("%d sockets were left out, their programs make them anew", stats.Skipped))
	}
	if stats.Lost > 0 {
		r.Notes = append(r.Notes, format.Sprintf("%d extended attributes were left out: the store does not take them", stats.Lost))
	}
	return true
}

func stateOf(s mounts.State) State {
	if s == mounts.Refused {
		return Refused
	}
	return Failed
}

// place brings the entry into place.
func (m *Machine) place(root *mounts.Root, r *Result, state State) bool {
	report := root.Mount()
	r.Notes = append(r.Notes, report.Notes...)
	e := &report.Entries[0]
	if !e.OK() {
		r.end(stateOf(e.State), "it is in the store, and comes into place at the next boot, but not now: "+e.Reason)
		return false
	}
	r.State, r.aside = state, e.Aside
	r.Notes = append(r.Notes, e.Notes...)
	if e.Aside != "" {
		r.Notes = append(r.Notes, "what was there is "+e.Aside+" now, and goes with this root")
	}
	return true
}

// lookBack looks below the mount for what has changed since the last pass, and
// for who may go on changing it.
func (m *Machine) lookBack(r *Result) {
	if r.took == nil || r.How == config.Sync {
		return
	}
	now, err := m.open(r.Source)
	if err != nil {
		r.Notes = append(r.Notes, "what changed at the last moment is not known: "+err.Error())
		return
	}
	defer unix.Close(now)
	status, err := sys.Stat(now)
	if err == nil {
		var late copytree.Differences
		if r.took.old >= 0 {
			late, err = r.took.late(now)
		}
		r.Late = late.Paths
	}
	if err != nil {
		r.Notes = append(r.Notes, "what changed at the last moment is not known: "+err.Error())
	}
	old := place{path: m.seen(r.Path), old: r.took.status, now: status}
	if r.aside != "" {
		old.path = m.seen(r.aside)
	}
	r.Users = old.users(m.Proc)
}

// late compares only what changed in the old place.
func (t *taking) late(now int) (copytree.Differences, error) {
	o := t.options()
	o.Check = nil
	return copytree.Compare(t.old, now, o)
}

// conflict says what is to be done about data in both places.
func (m *Machine) conflict(r *Result, again string) {
	r.end(Conflict, "the store has it already, with other contents: nothing was changed",
		format.Sprintf("mv %s %s && ebb %s   # to take what the store has", m.Quote(r.Path), m.Quote(r.Path+".live"), again),
		format.Sprintf("mv %s %s && ebb %s   # to take what is there now", m.Quote(r.Source), m.Quote(r.Source+".old"), again))
}

func without(entries []config.Entry, p string) (rest []config.Entry) {
	for i := range entries {
		if entries[i].Path != p {
			rest = append(rest, entries[i])
		}
	}
	return rest
}

// ErrNotKept is the error of a path that no list has.
var ErrNotKept = errors.New("is on no list of what was kept")

// Forget takes a path off the list of its store, which it returns. It stays in
// place until the next boot, and its data stays in the store.
func (m *Machine) Forget(p string) (store string, err error) {
	lists, _ := List(m.Root.Fd, m.Root.Stores)
	for i := range lists {
		for j := range lists[i] {
			if lists[i][j].Path != p {
				continue
			}
			store = m.Root.Stores[i].Path
			if m.DryRun {
				return store, nil
			}
			return store, m.change(store, func(l []config.Entry) []config.Entry { return without(l, p) })
		}
	}
	return "", format.Errorf("%q %w", p, ErrNotKept)
}

// change rewrites the list of a store.
func (m *Machine) change(store string, do func([]config.Entry) []config.Entry) error {
	if m.Lock != nil {
		unlock, err := m.Lock()
		if err != nil {
			return err
		}
		defer unlock()
	}
	return change(m.Root.Fd, store, do)
}

// entryFor describes what is at the path as an entry.
func (m *Machine) entryFor(r *Result, status *sys.Status) config.Entry {
	mode := status.Permissions()
	e := config.Entry{
		Path: r.Path, Directory: status.IsDirectory(), How: r.How, Kept: time.Now().UTC().Format(time.RFC3339), Mode: &mode,
		Owner: config.Owner{UID: &status.UID, GID: &status.GID},
	}
	if e.How == "" {
		e.How = config.Bind
		if !e.Directory && isReplaced(r.Path) {
			e.How = config.Sync
		}
	}
	return e
}

// replaced are ends of the names of files that programs replace by renaming
// another one over them, as shells do with histories and editors with what is
// configured by hand. On a mount point that fails with EBUSY (rename(2)).
var replaced = []string{
	"/etc/adjtime", "/etc/machine-id", "/logrotate.status", "/passwd", "/shadow", "/group", "/gshadow",
	"history", ".histfile", ".conf", ".ini", ".json", ".toml", ".xml", ".yaml", ".yml", "rc",
}

func isReplaced(p string) bool {
	for _, end := range replaced {
		if strings.HasSuffix(p, end) {
			return true
		}
	}
	return false
}
