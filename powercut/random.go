package powercut

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// randomName begins the names of scenarios that a number makes.
const randomName = "random-"

// RandomScenario makes a scenario out of a number, the same one each time. It has what
// the known ones have, together in ways that nobody has chosen.
func RandomScenario(number uint64) Scenario {
	random := rand.New(rand.NewPCG(number, 4))
	oneOf := func(n int) bool { return random.IntN(n) == 0 }
	s := Scenario{
		Name: randomName + strconv.FormatUint(number, 10), Seed: number, Boots: 1 + random.IntN(3), Depth: 1,
		Also: !oneOf(4), Blank: !oneOf(4), Restore: oneOf(3), Keep: oneOf(3),
		Writers: []int{0, 0, 1, 4}[random.IntN(4)],
	}
	switch random.IntN(6) {
	case 0:
		s.Between = true
	case 1:
		s.Fsyncs = true
	default:
		s.Strange = true
	}
	if oneOf(5) {
		s.Store = []string{"ext4", "xfs"}[random.IntN(2)]
		return s
	}
	s.Delete, s.InRoot, s.Committer = oneOf(3), oneOf(3), !s.Between && oneOf(4)
	if oneOf(4) {
		s.Depth = 2 + random.IntN(2)
	}
	if oneOf(5) {
		s.Devices, s.Mkfs = 2, raid1
	} else if oneOf(4) {
		s.Mkfs = []string{"--metadata", "single"}
	}
	s.Mkfs = append(s.Mkfs[:len(s.Mkfs):len(s.Mkfs)], "--nodesize", []string{"4096", "16384", "16384", "65536"}[random.IntN(4)])
	if slices.Contains(s.Mkfs, "65536") {
		s.Size = 512 << 20 // or the metadata is full before the scenario is over
	}
	s.Options = []string{"commit=" + []string{"1", "30", "300"}[random.IntN(3)]}
	for _, option := range []string{"compress=zstd", "compress-force=lzo", "discard=sync", "flushoncommit", "notreelog", "max_inline=0", "autodefrag"} {
		if oneOf(7) {
			s.Options = append(s.Options, option)
		}
	}
	return s
}

// findRandom is the scenario of such a name.
func findRandom(name string) (s Scenario, ok bool) {
	text, ok := strings.CutPrefix(name, randomName)
	if !ok {
		return s, false
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return s, false
	}
	return RandomScenario(number), true
}

// String says what is random of a scenario, in one line.
func (s *Scenario) String() string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{
		{s.Also, "also"},
		{s.Blank, "blank"},
		{s.Restore, "restore"},
		{s.Keep, "keep"},
		{s.Delete, "delete"},
		{s.InRoot, "in-root"},
		{s.Committer, "committer"},
		{s.Between, "between"},
		{s.Fsyncs, "fsyncs"},
		{s.Strange, "strange"},
	} {
		if w.is {
			words = append(words, w.word)
		}
	}
	return fmt.Sprintf("%s: %d boots, depth %d, %d writers, %d devices, store %q, %s; mkfs %s; %s",
		s.Name, s.Boots, s.Depth, s.Writers, max(s.Devices, 1), s.Store, strings.Join(words, " "), strings.Join(s.Mkfs, " "), strings.Join(s.Options, ","))
}
