package main

import (
	"fmt"
	"strings"
)

// The limits, see docs/performance.md.
const (
	mountLimit    = 1.5 // times the C program, and the start of a process
	rollbackLimit = 1.3 // times the C program
	growthLimit   = 1.1 // times the growth of the C program
	memoryLimit   = 16 << 20
)

func (r *report) judgeMount(g *group, firstBoot bool) {
	what := g.Label + " entries"
	if firstBoot {
		what += ", first boot"
	}
	r.judgeWithStart(what, g, "ebb mount", mountLimit)
	r.judgeMemory(what, g)
}

// judgeWithStart allows so many times the C program, and on top of that the
// start of a process, which is what a program in Go that does nothing takes,
// measured in turn with both: where the work is little the start alone is more
// than all of the C program.
func (r *report) judgeWithStart(what string, g *group, name string, limit float64) {
	ebb, floor := g.find(name), g.find(floorName)
	start := g.start()
	allowed := limit*floor.median + start
	r.judge(what,
		fmt.Sprintf("%.1f x C + start = %s", limit, seconds(allowed)),
		fmt.Sprintf("%s = %.2f x C + start", seconds(ebb.median), (ebb.median-start)/floor.median),
		ebb.median <= allowed)
}

func (r *report) judgeRollback(s *section, state string) {
	for _, g := range s.Groups {
		what := "rollback, " + g.Label + ", " + state
		ratio := summarize(ratios(g.times("ebb rollback"), g.times(floorName)))
		r.judge(what+", strictly", fmt.Sprintf("%.1f x C", rollbackLimit), fmt.Sprintf("%.2f x C", ratio.median), ratio.median <= rollbackLimit)
		r.judgeWithStart(what, g, "ebb rollback", rollbackLimit)
		ratio = summarize(ratios(g.times("ebb rollback"), g.times(describedName)))
		r.judge(what+", strictly, the old root described", fmt.Sprintf("%.1f x C", rollbackLimit), fmt.Sprintf("%.2f x C", ratio.median), ratio.median <= rollbackLimit)
		r.judgeMemory(what, g)
	}
	first, last := s.Groups[0], s.Groups[len(s.Groups)-1]
	r.judgeGrowth("rollback, "+last.Label+" against "+first.Label+", "+state, "ebb rollback", first, last, 1)
}

// judgeLinear looks whether an entry costs the same among many and among few.
func (r *report) judgeLinear(s *section, firstBoot bool) {
	if len(s.Groups) < 3 {
		return
	}
	first, last := s.Groups[1], s.Groups[2]
	what := "an entry among " + last.Label + " against one among " + first.Label
	if firstBoot {
		what += ", first boot"
	}
	var few, many float64
	fmt.Sscan(first.Label, &few)
	fmt.Sscan(last.Label, &many)
	r.judgeGrowth(what, "ebb mount", first, last, many/few)
}

// judgeGrowth compares how much longer something takes in the larger case with
// how much longer it takes the C program: what the kernel makes of it is no
// fault of ebb's.
func (r *report) judgeGrowth(what, name string, small, large *group, size float64) {
	growth := large.find(name).median / small.find(name).median / size
	floor := large.find(floorName).median / small.find(floorName).median / size
	limit := growthLimit * max(1, floor)
	r.judge(what, fmt.Sprintf("at most %.2f x", limit), fmt.Sprintf("%.2f x (C: %.2f x)", growth, floor), growth <= limit)
}

// judgeMemory looks at all runs of ebb in a group.
func (r *report) judgeMemory(what string, g *group) {
	var most int64
	for i := range g.Series {
		if strings.HasPrefix(g.Series[i].Name, "ebb ") {
			most = max(most, g.Series[i].maxRSS())
		}
	}
	r.judge("memory: "+what, "at most "+mebibytes(memoryLimit), mebibytes(most), most <= memoryLimit)
}
