package main

import (
	"fmt"
	"slices"
)

// contender is something to measure in one situation. Try makes one run of it,
// with all that has to be made before and looked at afterwards.
type contender[R any] struct {
	name string
	runs int
	try  func() (R, error)
}

// inTurn runs the contenders in turn, every other round in the opposite order,
// so that whatever else the machine does hits all of them alike. It returns the
// results of each contender.
func inTurn[R any](p progress, label string, contenders []contender[R]) ([][]R, error) {
	all := make([][]R, len(contenders))
	rounds := 0
	for _, c := range contenders {
		rounds = max(rounds, c.runs)
	}
	for round := range rounds {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			c := contenders[i]
			if round >= c.runs {
				continue
			}
			p.show("%s, round %d of %d: %s", label, round+1, rounds, c.name)
			result, err := c.try()
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", label, c.name, err)
			}
			all[i] = append(all[i], result)
		}
	}
	return all, nil
}

// interleave is inTurn for programs that are timed as a whole.
func (b *bench) interleave(label string, contenders []contender[sample]) ([]series, error) {
	b.progress.step("%s", label)
	contenders = slices.DeleteFunc(contenders, func(c contender[sample]) bool { return c.runs == 0 })
	results, err := inTurn(b.progress, label, contenders)
	if err != nil {
		return nil, err
	}
	all := make([]series, len(contenders))
	for i, c := range contenders {
		all[i] = series{Name: c.name, Samples: results[i]}
	}
	return all, nil
}
