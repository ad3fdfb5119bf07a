package keep

import (
	"time"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/mounts"
)

// Apply brings all entries into place that are not, in the order of a boot, and
// tells of each of them once it is done. What a path holds of which its store
// has nothing is copied there before, as by [Machine.Keep]. Where both have
// something, and not the same, nothing is changed. Nothing is ever unmounted,
// and no process is disturbed. A second run finds nothing to do.
func (m *Machine) Apply(tell func(*Result)) (results []*Result) {
	report := m.Root.Check()
	for n, item := range mounts.Order(m.Root.Stores) {
		if report.Entries[n].OK() && !m.isOnlyLive(&item) {
			continue
		}
		r := &Result{
			Path: item.Entry.Path, Store: item.Store.Path, Source: item.Source(),
			How: item.Entry.How, Directory: item.Entry.Directory, entry: *item.Entry,
		}
		m.apply(r)
		r.close()
		tell(r)
		results = append(results, r)
	}
	return results
}

// isOnlyLive reports whether a sync file is there of which the store has no
// copy yet, and nothing is mounted on it, as on /etc/machine-id before its time.
func (m *Machine) isOnlyLive(item *mounts.Item) bool {
	if item.Entry.How != config.Sync {
		return false
	}
	both := m.alone(item.Entry, item.Store.Path).Compare(func(*config.Entry) bool { return true })[0]
	on, err := m.mountOf(item.Entry.Path)
	return err == nil && both.Err == nil && both.Holds && !both.Source && on.MountPoint != m.seen(item.Entry.Path)
}

func (m *Machine) apply(r *Result) {
	r.begun = time.Now().Unix() - slack
	root := m.alone(&r.entry, r.Store)
	root.SetAside = true
	both := root.Compare(func(*config.Entry) bool { return true })[0]
	reason, err := m.hidden(r)
	switch {
	case both.Err != nil:
		r.end(Refused, both.Err.Error())
	case err != nil:
		r.end(Failed, err.Error())
	case reason != "":
		r.end(Refused, reason)
	case !both.Source && m.failedAtBoot(r):
		r.end(Refused, "this boot could not bring it in: the next one does, with what the old root has of it")
	case both.Source && both.Differences.Any():
		r.Differs = &both.Differences
		m.conflict(r, "apply")
	case m.DryRun && both.Holds && !both.Source:
		r.Reason = "what is there goes into the store first"
		m.measure(r)
	case m.DryRun:
		r.State, r.Reason = Planned, wayIn(&both)
	default:
		m.applyNow(root, r, &both)
	}
}

// failedAtBoot reports whether this boot could not bring the entry in. A new source
// would keep the next one from looking for its data.
func (m *Machine) failedAtBoot(r *Result) bool {
	for i := range m.Boot {
		if b := &m.Boot[i]; b.Path == r.Path && !b.OK() {
			return true
		}
	}
	return false
}

// takeNothing remembers a place that is empty, or holds the same as the store:
// somebody may have it open, or have changed it since it was compared.
func (m *Machine) takeNothing(r *Result, both *mounts.Both) {
	status, err := m.look(r.Path)
	if err != nil {
		return
	}
	r.took = &taking{old: -1, status: status, since: r.begun, setID: true, devices: true}
	if both.Holds {
		if fd, err := m.open(r.Path); err == nil {
			r.took.old = fd
		}
	}
}

// wayIn says how an entry would come into place that nothing is copied for.
func wayIn(both *mounts.Both) string {
	if both.Source {
		return "what the store has comes into place"
	}
	return "there is nothing yet"
}

func (m *Machine) applyNow(root *mounts.Root, r *Result, both *mounts.Both) {
	state := Placed
	if both.Holds && !both.Source {
		if !m.takeIn(root, r) {
			return
		}
		state = Kept
	} else if both.Target {
		m.takeNothing(r, both)
	}
	if m.place(root, r, state) {
		m.lookBack(r)
	}
}

// hidden says what of the mounts in the place of the entry keeps it from being
// brought in: the next boot does it in the right order.
func (m *Machine) hidden(r *Result) (reason string, err error) {
	if r.How == config.Sync {
		return "", nil
	}
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return "", err
	}
	for i := range table {
		if within(table[i].MountPoint, m.seen(r.Path)) {
			return format.Sprintf("%s is mounted there, and would be hidden: the next boot brings the entry in", table[i].MountPoint), nil
		}
	}
	return "", nil
}

// Removed returns those of the entries of this boot that are not declared any
// more, and were not kept, but are in place: they stay until the next boot.
func (m *Machine) Removed(before []mounts.EntryResult) (removed []mounts.EntryResult) {
	declared := map[string]bool{}
	for _, item := range mounts.Order(m.Root.Stores) {
		declared[item.Entry.Path] = true
	}
	for i := range before {
		b := &before[i]
		if declared[b.Path] {
			continue
		}
		declared[b.Path] = true // the record may have it twice
		e := config.Entry{Path: b.Path, How: b.How, Directory: b.Directory}
		if now := m.alone(&e, b.Store).Check().Entries[0]; now.State == mounts.InPlace {
			removed = append(removed, now)
		}
	}
	return removed
}
