package main

// The two empty programs that are run in turn with the others: what starting a
// program costs at that time and in that situation, in Go and in C.
const (
	emptyGoName = "an empty Go program"
	emptyCName  = "an empty C program"
)

// starts are the empty programs as contenders.
func (b *bench) starts(runs int) []contender[sample] {
	try := func(argv ...string) func() (sample, error) {
		return func() (s sample, err error) {
			err = inNewNamespace(func() error {
				s, err = b.launch(argv...)
				return err
			})
			return s, err
		}
	}
	return []contender[sample]{
		{emptyGoName, runs, try(b.tools.emptyGo)},
		{emptyCName, runs, try(b.tools.empty)},
	}
}

// start is what starting and ending a program in Go takes, in seconds.
func (g *group) start() float64 { return g.find(emptyGoName).median }

// measureStart measures what it costs to start and to end a process: what a
// program in Go has to pay before it does anything.
func (b *bench) measureStart(r *report) error {
	runs := b.runs(101)
	contenders := b.starts(runs)
	contenders = append(contenders, contender[sample]{"ebb version", runs, func() (s sample, err error) {
		err = inNewNamespace(func() error {
			s, err = b.launch(b.tools.ebb, "version")
			return err
		})
		return s, err
	}})
	all, err := b.interleave("process start", contenders)
	if err != nil {
		return err
	}
	s := &section{Title: "Starting a process", Note: "Nothing but start and end."}
	r.Sections = append(r.Sections, s)
	s.add("", all)
	return nil
}
