package powercut

import "slices"

// choose picks the cuts of a log. Those within a protocol come first.
func (x *explorer) choose(s *stage, count int) []Cut {
	var within, without []int
	known := s.known.clone()
	for i, r := range s.records {
		if known.learnRecord(r) != nil || r.Kind != Write && r.Kind != Discard {
			continue
		}
		if known.isWithin() {
			within = append(within, i+1)
		} else {
			without = append(without, i+1)
		}
	}
	var cuts []Cut
	if count == 0 {
		for _, position := range append(within, without...) {
			for n := range x.budget.Subsets + 1 {
				cuts = append(cuts, Cut{position, x.seedOf(n)})
			}
		}
	} else {
		cuts = x.sample(within, without, count)
	}
	slices.SortStableFunc(cuts, func(a, b Cut) int { return a.Position - b.Position })
	return cuts
}

// sample takes every cut within a protocol, if that is not more than two thirds
// of the count, some of the others, and subsets for the rest of the count.
func (x *explorer) sample(within, without []int, count int) []Cut {
	var cuts []Cut
	take := func(from []int, count int) {
		x.random.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
		for _, position := range from[:min(count, len(from))] {
			cuts = append(cuts, Cut{Position: position})
		}
	}
	take(within, count*2/3)
	take(without, (count-len(cuts))/3)
	positions := slices.Concat(within, within, without) // twice as often within
	for len(cuts) < count && len(positions) > 0 {
		cuts = append(cuts, Cut{positions[x.random.IntN(len(positions))], x.seedOf(1)})
	}
	return cuts
}

// seedOf is 0 for the first state at a position and random for the others.
func (x *explorer) seedOf(n int) uint64 {
	if n == 0 {
		return 0
	}
	return uint64(x.random.Uint32()) + 1
}

// isWithin reports whether something was under way that a cut may spoil.
func (k *Knowledge) isWithin() bool {
	return k.Rolling || k.Busy || len(k.Adopting) > len(k.Adopted) || k.Syncing > k.Synced
}
