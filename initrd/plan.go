package initrd

import (
	"path"
	"sort"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
)

// Action is what a step of a rollback does.
type Action string

// The actions, each of them one change on the disk.
const (
	MakeArchive Action = "make-archive" // the archive's directory
	Protect     Action = "protect"      // take the permissions of others off the archive
	Drop        Action = "drop"         // a rollback that never came to its exchange, to the trash
	Unstage     Action = "unstage"      // remove a staging directory that holds no subvolume
	Stage       Action = "stage"        // the staging directory
	Create      Action = "create"       // an empty subvolume in it
	Snapshot    Action = "snapshot"     // a snapshot in it
	Describe    Action = "describe"     // meta.json in it, durable
	Exchange    Action = "exchange"     // the live subvolume and the staged one
	Place       Action = "place"        // the staged subvolume where there was none
	Archive     Action = "archive"      // the staging directory becomes an archived root
	Seal        Action = "seal"         // read-only flag on an archived subvolume
)

// Step is one change. Which fields count depends on the action.
type Step struct {
	Action Action
	Member MemberFacts // Create, Snapshot, Exchange, Place, Seal
	Number uint64      // Drop, Archive, Seal
	// Recovery is set for what finishes or clears up an earlier run.
	Recovery bool
}

// Text says what the step is going to do, as it stands in the log and in the
// output of "ebb plan".
func (s *Step) Text(root *config.Root) string {
	next := path.Join(root.Archive, archive.Next)
	staged := path.Join(next, s.Member.Name)
	number := path.Join(root.Archive, archive.DirectoryName(s.Number))
	switch s.Action {
	case MakeArchive:
		return format.Sprintf("making the archive %q", root.Archive)
	case Protect:
		return format.Sprintf("closing the archive %q to all but root", root.Archive)
	case Drop:
		return format.Sprintf("putting an unfinished rollback aside: moving %q to %q", next,
			path.Join(root.Archive, archive.Trash, archive.DirectoryName(s.Number)))
	case Unstage:
		return format.Sprintf("removing the empty %q", next)
	case Stage:
		return format.Sprintf("staging in %q", next)
	case Create:
		return format.Sprintf("making the empty subvolume %q", staged)
	case Snapshot:
		return format.Sprintf("making %q as a snapshot of %q (id %d)", staged, s.Member.From, s.Member.Blank.ID)
	case Describe:
		return format.Sprintf("writing %q", path.Join(next, archive.Meta))
	case Exchange:
		return format.Sprintf("exchanging %q%s with %q", s.Member.Path, s.Member.liveID(), staged)
	case Place:
		return format.Sprintf("there is no %q, moving %q there", s.Member.Path, staged)
	case Archive:
		return format.Sprintf("archiving: renaming %q to %q", next, number)
	case Seal:
		return format.Sprintf("making %q read-only", path.Join(number, s.Member.Name))
	}
	return string(s.Action)
}

func (m *MemberFacts) liveID() string {
	if m.Live == nil {
		return ""
	}
	return format.Sprintf(" (id %d)", m.Live.ID)
}

// Rollback is a planned rollback.
type Rollback struct {
	Steps   []Step        // in order, those that recover from an earlier run first
	Number  uint64        // of the old root in the archive
	Members []MemberFacts // as they are once the recovery is made
}

// Plan decides what a rollback does, from nothing but the facts.
func Plan(facts *Facts) Rollback {
	recovery, used, members := planRecovery(facts)
	plan := Rollback{Number: used + 1, Members: members}
	var steps stepList
	if !facts.ArchiveExists {
		steps.add(MakeArchive, nil, 0, false)
	}
	if facts.ArchiveIsOpen {
		steps.add(Protect, nil, 0, false)
	}
	for i := range facts.Unsealed {
		steps.add(Seal, &facts.Unsealed[i], facts.UnsealedNumber, true)
	}
	steps = append(steps, recovery...)
	steps.planRollback(members, plan.Number)
	plan.Steps = steps
	return plan
}

// stepList is a list of steps while it is made.
type stepList []Step

// add appends a step. A member is large, and is copied here alone.
func (l *stepList) add(action Action, member *MemberFacts, number uint64, recovery bool) {
	s := Step{Action: action, Number: number, Recovery: recovery}
	if member != nil {
		s.Member = *member
	}
	*l = append(*l, s)
}

func (l *stepList) planRollback(members []MemberFacts, number uint64) {
	l.add(Stage, nil, 0, false)
	for i := range members {
		action := Create
		if members[i].Blank != nil {
			action = Snapshot
		}
		l.add(action, &members[i], 0, false)
	}
	l.add(Describe, nil, number, false)
	var old []*MemberFacts
	for i := range members {
		if members[i].Live == nil {
			l.add(Place, &members[i], 0, false)
			continue
		}
		l.add(Exchange, &members[i], 0, false)
		old = append(old, &members[i])
	}
	l.planArchive(old, number, false)
}

// planArchive gives the staging directory its number. The read-only flag comes
// last, because a read-only subvolume cannot be moved to another directory
// (EROFS), and it commits, which makes all before it durable.
func (l *stepList) planArchive(old []*MemberFacts, number uint64, recovery bool) {
	if len(old) == 0 {
		l.add(Unstage, nil, 0, recovery)
		return
	}
	l.add(Archive, nil, number, recovery)
	for _, m := range old {
		l.add(Seal, m, number, recovery)
	}
}

// planRecovery deals with what an interrupted run has left in the staging
// directory. It returns the steps, and what is so once they are made: the
// highest number in use, and the members.
//
// The uuids tell how far the run came: a subvolume keeps its own through every
// rename. Nothing is deleted here. What cannot be an old root goes to the
// trash, whatever else is there is archived.
func planRecovery(facts *Facts) (steps stepList, used uint64, members []MemberFacts) {
	used, members = facts.Used, facts.Members
	next := facts.Next
	switch {
	case next == nil:
	case next.Info == nil && next.Damaged == nil:
		// meta.json is made durable before the first exchange: without it no
		// old root can be here.
		used = steps.dropOrUnstage(next, used)
	case next.Info == nil:
		used = steps.archiveUnknown(next, used)
	case isExchanged(facts):
		return finish(facts)
	case allFresh(next):
		used = steps.dropOrUnstage(next, used)
	default:
		used = steps.archiveUnknown(next, used)
	}
	return steps, used, members
}

func (l *stepList) dropOrUnstage(next *NextFacts, used uint64) uint64 {
	if len(next.Staged) == 0 {
		l.add(Unstage, nil, 0, true)
		return used
	}
	l.add(Drop, nil, used+1, true)
	return used + 1
}

// archiveUnknown keeps subvolumes whose story cannot be told any more.
func (l *stepList) archiveUnknown(next *NextFacts, used uint64) uint64 {
	var staged []*MemberFacts
	for name, id := range next.Staged {
		staged = append(staged, &MemberFacts{Name: name, Live: &id})
	}
	sort.Slice(staged, func(i, j int) bool { return staged[i].Name < staged[j].Name })
	l.planArchive(staged, used+1, true)
	return used + 1
}

// isExchanged reports whether any live subvolume is the fresh one of the
// interrupted run.
func isExchanged(facts *Facts) bool {
	for _, m := range facts.Members {
		if told, ok := facts.Next.Info.Member(m.Name); ok && m.Live != nil && m.Live.UUID == told.Fresh {
			return true
		}
	}
	return false
}

func allFresh(next *NextFacts) bool {
	for name, id := range next.Staged {
		if told, ok := next.Info.Member(name); !ok || told.Fresh != id.UUID {
			return false
		}
	}
	return true
}

// finish carries an interrupted rollback to its end: the exchanges that are
// still to be made, the number, the read-only flags.
func finish(facts *Facts) (steps stepList, used uint64, members []MemberFacts) {
	var old []*MemberFacts
	members = append(members, facts.Members...)
	for i := range facts.Members {
		m := &facts.Members[i]
		staged, isStaged := facts.Next.Staged[m.Name]
		told, isTold := facts.Next.Info.Member(m.Name)
		isFresh := isStaged && isTold && staged.UUID == told.Fresh
		switch {
		case isFresh && m.Live == nil:
			steps.add(Place, m, 0, true)
		case isFresh:
			steps.add(Exchange, m, 0, true)
			old = append(old, m)
		case isStaged:
			old = append(old, m)
		}
		if isFresh {
			members[i].Live = &staged
		}
	}
	number := facts.Next.Info.Sequence
	if number <= facts.Highest {
		number = facts.Used + 1
	}
	steps.planArchive(old, number, true)
	return steps, max(facts.Used, number), members
}
