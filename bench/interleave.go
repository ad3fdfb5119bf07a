package main

import "fmt"

// contender is a program in one situation. Try makes one run of it, with all
// that has to be made before and looked at afterwards.
type contender struct {
	name string
	runs int
	try  func() (sample, error)
}

// interleave runs the contenders in turn, every other round in the opposite
// order, so that whatever else the machine does hits all of them alike.
func (b *bench) interleave(label string, contenders []contender) ([]series, error) {
	all := make([]series, len(contenders))
	rounds := 0
	for i, c := range contenders {
		all[i].Name = c.name
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
			b.progress.show("%s, round %d of %d: %s", label, round+1, rounds, c.name)
			s, err := c.try()
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", label, c.name, err)
			}
			all[i].Samples = append(all[i].Samples, s)
		}
	}
	return all, nil
}
