package powercut

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// Sizes on the disk. A sector is written whole or not at all, as disks promise;
// block is what is hashed at once.
const (
	sectorSize = 512
	blockSize  = 4096
)

// Budget says how much is tried.
type Budget struct {
	States int // of the first cut; 0 is every write, and every write with Subsets subsets
	Nested int // of each further cut, for each state that it is made in; 0 as above

	Subsets int // random subsets for each write
	Checks  int // btrfs check runs on one state of so many, 0 on none
	Seed    uint64

	Failures int // the end after so many states that failed; 0: never
}

// keptCases is how many of the states that fail are kept.
const keptCases = 3

// Result is what was tried of a scenario, and what came of it.
type Result struct {
	Scenario string
	Records  int
	Writes   int
	Discards int
	Flushes  int
	States   []int // by the number of cuts, less 1
	Distinct int   // different contents of the disk
	Checks   int   // runs of btrfs check
	Seconds  float64
	Again    []Failure // states that could be mounted at the second attempt only
	Failures []Failure
	Failed   int // all of them, also those that are not in Failures
}

// String is a line for a table.
func (r *Result) String() string {
	return fmt.Sprintf("%-22s %5d writes %4d flushes, states %v, %d distinct, %d failed, btrfs check %d, %.0f s (%.1f a second)",
		r.Scenario, r.Writes, r.Flushes, r.States, r.Distinct, r.Failed, r.Checks, r.Seconds, float64(r.Distinct)/r.Seconds)
}

// Failure is a state that is not as it must be.
type Failure struct {
	State  string
	Reason string
	Case   string // the file from which it can be replayed
}

// explorer makes states of a disk and judges them.
type explorer struct {
	machine *machine
	budget  Budget
	random  *rand.Rand
	result  *Result
	keep    func(story Story, logs [][]Record, reason error) (string, error)

	base   []byte // what the image has to be like
	hashes []uint64
	hash   uint64
	seed   maphash.Seed
	seen   map[uint64]bool // contents of the disk
	judged map[judged]bool
}

// judged is what a judgment depends on: what is on the disk, what is known of it,
// and whether the boot after the recovery is tried.
type judged struct {
	disk, learned uint64
	further       bool
}

// change is what a write has overwritten.
type change struct {
	offset uint64
	old    []byte
}

func newExplorer(m *machine, budget Budget) (*explorer, error) {
	spans, err := m.disk.written()
	if err != nil {
		return nil, err
	}
	x := &explorer{
		machine: m, budget: budget, random: rand.New(rand.NewPCG(budget.Seed, 2)),
		result: &Result{Scenario: m.scenario.Name, States: make([]int, max(m.scenario.Depth, 1))},
		base:   make([]byte, len(m.disk.image)), hashes: make([]uint64, len(m.disk.image)/blockSize),
		seed: maphash.MakeSeed(), seen: map[uint64]bool{}, judged: map[judged]bool{},
	}
	zeros := maphash.Bytes(x.seed, make([]byte, blockSize))
	for block := range x.hashes {
		x.hashes[block] = mix(zeros, block)
		x.hash ^= x.hashes[block]
	}
	for _, s := range spans {
		x.set(uint64(s.start), m.disk.image[s.start:s.end])
	}
	return x, nil
}

// hashBlock tells apart blocks of other contents, and the same contents at
// other places.
func (x *explorer) hashBlock(block int) uint64 {
	return mix(maphash.Bytes(x.seed, x.base[block*blockSize:(block+1)*blockSize]), block)
}

func mix(hash uint64, block int) uint64 {
	return bits.RotateLeft64((hash^uint64(block))*0x9e3779b97f4a7c15, 31) * 0xbf58476d1ce4e5b9
}

// set writes to the base and to the image, and returns what was there.
func (x *explorer) set(offset uint64, data []byte) change {
	end := offset + uint64(len(data))
	old := slices.Clone(x.base[offset:end])
	copy(x.base[offset:], data)
	copy(x.machine.disk.image[offset:], data)
	for block := offset / blockSize; block*blockSize < end; block++ {
		x.hash ^= x.hashes[block]
		x.hashes[block] = x.hashBlock(int(block))
		x.hash ^= x.hashes[block]
	}
	return change{offset, old}
}

func (x *explorer) undo(changes []change) {
	for _, c := range slices.Backward(changes) {
		x.set(c.offset, c.old)
	}
}

// restore puts back what the judge's boot has written to the image.
func (x *explorer) restore(records []Record) {
	for _, r := range records {
		if r, ok := r.written(); ok {
			end := r.Offset + uint64(len(r.Data))
			copy(x.machine.disk.image[r.Offset:end], x.base[r.Offset:end])
		}
	}
}

// stage is one level of cuts: a log that is cut, from a disk that is the base.
type stage struct {
	story   Story // up to here
	logs    [][]Record
	records []Record
	known   *Knowledge
	learned uint64 // tells apart what was learned so far
	depth   int    // further levels below this one
	pending []Record
	at      int // how many records are behind
	undo    []change
}

// explore cuts the log at the chosen places.
func (x *explorer) explore(s *stage, cuts []Cut) error {
	defer func() { x.undo(s.undo) }()
	for _, c := range cuts {
		if x.budget.Failures > 0 && x.result.Failed >= x.budget.Failures {
			return nil
		}
		if err := x.advance(s, c.Position); err != nil {
			return err
		}
		if err := x.try(s, c); err != nil {
			return err
		}
	}
	return nil
}

// advance moves on to a position: what is flushed by then is on the disk, what
// is not is pending.
func (x *explorer) advance(s *stage, position int) error {
	for ; s.at < position; s.at++ {
		r := s.records[s.at]
		switch r.Kind {
		case Write, Discard:
			write, _ := r.written()
			s.pending = append(s.pending, write)
		case Flush:
			s.pending = slices.DeleteFunc(s.pending, func(w Record) bool {
				durable := x.machine.disk.deviceOf(w.Offset) == r.Offset
				if durable {
					s.undo = append(s.undo, x.set(w.Offset, w.Data))
				}
				return durable
			})
		}
		if err := s.known.learnRecord(r); err != nil {
			return err
		}
		if r.Kind == Mark {
			s.learned = mix(s.learned^maphash.Bytes(x.seed, r.Data), 0)
		}
	}
	return nil
}

// try makes one state, judges it, and goes on to cuts of its recovery.
func (x *explorer) try(s *stage, c Cut) error {
	undo := x.subset(s.pending, c.Seed)
	defer func() { x.undo(undo) }()
	if x.wasJudged(s, c) {
		return nil
	}
	x.result.States[len(s.story)]++
	if !x.seen[x.hash] {
		x.seen[x.hash] = true
		x.result.Distinct++
	}
	story := append(slices.Clone(s.story), c)
	if err := x.checkFileSystem(story); err != nil {
		return err
	}
	recovery, reason, err := x.judgeTwice(s, c)
	if err != nil {
		return err
	}
	if reason != nil {
		return x.fail(s, story, reason)
	}
	if s.depth == 0 {
		return nil
	}
	next := &stage{
		story: story, logs: append(slices.Clone(s.logs), s.records), records: recovery,
		known: s.known.clone(), learned: s.learned, depth: s.depth - 1,
	}
	return x.explore(next, x.choose(next, x.budget.Nested))
}

// wasJudged reports whether the state that is on the disk was judged before, and
// remembers it. Subsets of few writes are often the same.
func (x *explorer) wasJudged(s *stage, c Cut) bool {
	state := judged{disk: x.hash, learned: s.learned, further: true}
	if x.judged[state] {
		return true
	}
	state.further = c.isFurther()
	was := x.judged[state]
	x.judged[state] = true
	return was
}

// judgeTwice judges a state again that could not be mounted. Nothing of ebb has
// looked at it by then, and its bytes are the same: where the second attempt
// succeeds, the disk was not what had failed the first. That is told.
func (x *explorer) judgeTwice(s *stage, c Cut) (recovery []Record, reason, err error) {
	recovery, reason, err = x.judge(s, c)
	unmountable := (*unmountableError)(nil)
	if err != nil || !errors.As(reason, &unmountable) {
		return recovery, reason, err
	}
	state := append(slices.Clone(s.story), c).String()
	if recovery, reason, err = x.judge(s, c); !errors.As(reason, new(*unmountableError)) {
		x.result.Again = append(x.result.Again, Failure{State: state, Reason: unmountable.Error() + "\n" + unmountable.kernel})
	}
	return recovery, reason, err
}

// isFurther reports whether the boot after the recovery is tried: wherever all
// writes are on the disk, and for half of the other states. It costs as much as
// the recovery.
func (c Cut) isFurther() bool { return c.Seed%2 == 0 }

// judge has the machine judge the state that is on the disk. It returns the log
// of the recovery, where that is to be cut, too.
func (x *explorer) judge(s *stage, c Cut) (recovery []Record, reason, err error) {
	disk := x.machine.disk
	reason = x.machine.judge(s.known, c.isFurther(), func() error {
		if s.depth == 0 {
			return nil
		}
		records, err := disk.records()
		recovery = cloneRecords(records)
		return err
	})
	records, err := disk.records()
	if err != nil {
		return nil, nil, err
	}
	x.restore(records)
	return recovery, reason, nil
}

func cloneRecords(records []Record) []Record {
	clones := slices.Clone(records)
	for i := range clones {
		clones[i].Data = slices.Clone(clones[i].Data)
	}
	return clones
}

func (x *explorer) fail(s *stage, story Story, reason error) error {
	x.result.Failed++
	if len(x.result.Failures) == keptCases {
		return nil
	}
	reason = x.machine.nameless(reason)
	path, err := x.keep(story, append(slices.Clone(s.logs), s.records), reason)
	if err != nil {
		return err
	}
	x.result.Failures = append(x.result.Failures, Failure{State: story.String(), Reason: reason.Error(), Case: path})
	return nil
}

// Explore runs a scenario: it records it once and judges the states that the
// budget allows for. Cases that fail are kept in caseDir.
func Explore(scenario *Scenario, budget Budget, workDir, caseDir string) (*Result, error) {
	start := time.Now()
	m, err := newMachine(scenario, workDir)
	if err != nil {
		return nil, err
	}
	result, err := m.explore(budget, caseDir)
	if err != nil {
		_ = m.close() // the first error tells more
		return nil, fmt.Errorf("scenario %s: %w", scenario.Name, err)
	}
	result.Seconds = time.Since(start).Seconds()
	return result, m.close()
}

// startFrom explores from what is on the disk now, which it returns.
func (m *machine) startFrom(budget Budget) (x *explorer, first []Record, err error) {
	if err := m.disk.Forget(); err != nil {
		return nil, nil, err
	}
	m.disk.reset()
	if x, err = newExplorer(m, budget); err != nil {
		return nil, nil, err
	}
	first, err = m.disk.contents()
	return x, first, err
}

func (m *machine) explore(budget Budget, caseDir string) (*Result, error) {
	if err := m.format(); err != nil {
		return nil, err
	}
	x, first, err := m.startFrom(budget)
	if err != nil {
		return nil, err
	}
	if err := m.record(); err != nil {
		return nil, err
	}
	records, err := m.disk.records()
	if err != nil {
		return nil, err
	}
	records = cloneRecords(records)
	x.restore(records)
	return x.result, x.exploreRecords(records, first, newKnowledge(), caseDir)
}

// exploreRecords cuts a log of writes to the disk that the base is of.
func (x *explorer) exploreRecords(records, first []Record, known *Knowledge, caseDir string) error {
	x.result.count(records)
	x.keep = func(story Story, logs [][]Record, reason error) (string, error) {
		return keepCase(caseDir, &Case{Scenario: x.result.Scenario, Size: x.machine.disk.deviceSize(), State: story.String(), Reason: reason.Error(), First: first, Logs: logs})
	}
	s := &stage{records: records, known: known, depth: len(x.result.States) - 1}
	return x.explore(s, x.choose(s, x.budget.States))
}

func (r *Result) count(records []Record) {
	r.Records = len(records)
	for _, record := range records {
		switch record.Kind {
		case Write:
			r.Writes++
		case Discard:
			r.Discards++
		case Flush:
			r.Flushes++
		}
	}
}
