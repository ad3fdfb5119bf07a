package powercut

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Event is what happened at a point of the log. What is told as done was
// acknowledged before it was logged, so a cut behind it must not take it away.
type Event struct {
	What       What
	Generation int
	Number     uint64 `json:",omitempty"` // of an archived root
	Writer     int    `json:",omitempty"`
	Count      int    `json:",omitempty"` // of a writer's records
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
	DeletionBegins What = "deletion begins"
	WriteDone      What = "write done" // of Writer: its record Count is fsynced
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
}

func newKnowledge() *Knowledge {
	return &Knowledge{
		Live: 0, Writing: fresh, Whole: map[int]bool{0: true}, Archived: map[int]uint64{},
		Adopting: map[int]bool{}, Adopted: map[int]bool{}, WritersAcknowledged: map[int]int{},
	}
}

func (k *Knowledge) clone() *Knowledge {
	c := *k
	c.Whole, c.Archived = maps.Clone(k.Whole), maps.Clone(k.Archived)
	c.Adopting, c.Adopted = maps.Clone(k.Adopting), maps.Clone(k.Adopted)
	c.WritersAcknowledged = maps.Clone(k.WritersAcknowledged)
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
	case DeletionBegins:
		for _, generation := range slices.Collect(maps.Keys(k.Archived)) {
			delete(k.Archived, generation)
			delete(k.Whole, generation)
		}
	case WriteDone:
		k.WritersAcknowledged[e.Writer] = e.Count
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
