package powercut

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Event is what happened at a point of the log. What is told as done was
// acknowledged before it was logged, so a cut behind it must not take it away.
type Event struct {
	What       What
	Generation int
	Number     uint64 `json:",omitempty"` // of an archived root
	Writer     int    `json:",omitempty"`
	Count      int    `json:",omitempty"` // of a writer's records
	Path       string `json:",omitempty"` // of a file that is durable, below the top-level subvolume
	Text       string `json:",omitempty"` // its contents
}

// What is the kind of an event.
type What string

// The kinds. Those that begin something come before its first system call.
const (
	RollbackBegins What = "rollback begins"
	RollbackDone   What = "rollback done" // Generation, if it is not unknown, is archived under Number
	WritingBegins  What = "writing begins"
	WritingDone    What = "writing done" // and committed
	EntriesBegin   What = "entries begin"
	EntriesDone    What = "entries done"
	SyncBackBegins What = "sync back begins"
	SyncBackDone   What = "sync back done"
	DeletionBegins What = "deletion begins" // of the archived root Number
	MovedByHand    What = "moved by hand"   // what somebody has put beside and into roots
	DeletionDone   What = "deletion done"   // of all that was begun, and committed
	WriteDone      What = "write done"      // of Writer: its record Count is fsynced
	RootWriteDone  What = "root write done" // the same in the root of Generation
	FileSynced     What = "file synced"     // Path, with Text
	RestoreBegins  What = "restore begins"
	RestoreDone    What = "restore done"
	KeepBegins     What = "keep begins"
	KeepDone       What = "keep done"  // and on the list of what was kept
	ApplyDone      What = "apply done" // after KeepBegins, too
)

// unknown is the generation of a rollback that may have finished another one.
const unknown = -2

// Knowledge is what must hold of the disk after a cut.
type Knowledge struct {
	Live     int          // the generation that is live or, while Rolling, was; fresh for none
	Rolling  bool         // a rollback has begun and not ended
	Writing  int          // the generation that may be in the live root in part; fresh for none
	Whole    map[int]bool // the generations that were completed and not deleted
	Archived map[int]uint64
	Highest  uint64 // the highest number that was acknowledged

	Adopting, Adopted   map[int]bool // by the generation that the data is of
	Syncing, Synced     int          // version of the file that is copied back
	WritersAcknowledged map[int]int
	RootWrites          map[int]int       // by generation
	Files               map[string]string // texts of the files that are durable, by path

	Moved     bool           // somebody's subvolumes lie among the archived roots
	Doomed    map[int]uint64 // the numbers of generations whose deletion was begun
	Deleted   map[int]bool   // those of them that must be gone
	Restored  map[int]int    // how often each was restored
	Restoring map[int]bool
	Keeping   map[int]bool
	Kept      map[int]bool // in the store
	Listed    map[int]bool // on the list of what was kept
	Busy      bool         // a command was begun and has not ended
}

func newKnowledge() *Knowledge {
	return &Knowledge{
		Live: 0, Writing: fresh, Whole: map[int]bool{0: true}, Archived: map[int]uint64{},
		Adopting: map[int]bool{}, Adopted: map[int]bool{}, WritersAcknowledged: map[int]int{}, RootWrites: map[int]int{}, Files: map[string]string{},
		Doomed: map[int]uint64{}, Deleted: map[int]bool{}, Restoring: map[int]bool{}, Restored: map[int]int{},
		Keeping: map[int]bool{}, Kept: map[int]bool{}, Listed: map[int]bool{},
	}
}

func (k *Knowledge) clone() *Knowledge {
	c := *k
	c.Whole, c.Archived = maps.Clone(k.Whole), maps.Clone(k.Archived)
	c.Adopting, c.Adopted = maps.Clone(k.Adopting), maps.Clone(k.Adopted)
	c.WritersAcknowledged, c.RootWrites = maps.Clone(k.WritersAcknowledged), maps.Clone(k.RootWrites)
	c.Files = maps.Clone(k.Files)
	c.Doomed, c.Deleted, c.Restored = maps.Clone(k.Doomed), maps.Clone(k.Deleted), maps.Clone(k.Restored)
	c.Restoring = maps.Clone(k.Restoring)
	c.Keeping, c.Kept, c.Listed = maps.Clone(k.Keeping), maps.Clone(k.Kept), maps.Clone(k.Listed)
	return &c
}

// learn takes in one event.
func (k *Knowledge) learn(e Event) {
	switch e.What {
	case RollbackBegins:
		k.Rolling = true
	case RollbackDone:
		if k.Live != fresh && e.Generation == k.Live {
			k.Archived[k.Live] = e.Number
		}
		k.Rolling, k.Live, k.Writing, k.Highest = false, fresh, fresh, e.Number
	case WritingBegins:
		k.Writing = e.Generation
	case WritingDone:
		k.Writing, k.Live, k.Whole[e.Generation] = fresh, e.Generation, true
	case EntriesBegin:
		k.Adopting[e.Generation] = true
	case EntriesDone:
		k.Adopted[e.Generation] = true
	case SyncBackBegins:
		k.Syncing = e.Generation
	case SyncBackDone:
		k.Synced = e.Generation
	case WriteDone:
		k.WritersAcknowledged[e.Writer] = e.Count
	case RootWriteDone:
		k.RootWrites[e.Generation] = e.Count
	case FileSynced:
		k.Files[e.Path] = e.Text
	default:
		k.learnCommand(e)
	}
}

// learnCommand takes in an event of a command that a person or a timer runs.
func (k *Knowledge) learnCommand(e Event) {
	switch e.What {
	case DeletionBegins:
		k.Busy = true
		for generation, number := range k.Archived {
			if number == e.Number {
				k.Doomed[generation] = number
				delete(k.Archived, generation)
				delete(k.Whole, generation)
			}
		}
	case MovedByHand:
		k.Moved = true
	case DeletionDone:
		k.Busy = false
		for generation := range k.Doomed {
			k.Deleted[generation] = true
		}
	case RestoreBegins:
		k.Busy, k.Restoring[e.Generation] = true, true
	case RestoreDone:
		k.Busy = false
		k.Restored[e.Generation]++
	case KeepBegins:
		k.Busy, k.Keeping[e.Generation] = true, true
	case KeepDone, ApplyDone:
		k.Busy, k.Kept[e.Generation] = false, true
		k.Listed[e.Generation] = e.What == KeepDone
	}
}

// learnRecord takes in a record of the log, if it is a mark.
func (k *Knowledge) learnRecord(r Record) error {
	if r.Kind != Mark {
		return nil
	}
	var e Event
	if err := json.Unmarshal(r.Data, &e); err != nil {
		return fmt.Errorf("read a mark of the log: %w", err)
	}
	k.learn(e)
	return nil
}

// mark adds an event to the log.
func (s *shared) mark(e Event) {
	data, err := json.Marshal(e)
	if err != nil || !s.append(Mark, 0, data) {
		return // the log is full, which whoever reads it is told
	}
}
