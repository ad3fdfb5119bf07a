package main

// measureStart measures what it costs to start and to end a process: what a
// program in Go has to pay before it does anything.
func (b *bench) measureStart(r *report) error {
	runs := b.runs(101)
	try := func(argv ...string) func() (sample, error) {
		return func() (s sample, err error) {
			err = inNewNamespace(func() error {
				s, err = b.launch(argv...)
				return err
			})
			return s, err
		}
	}
	all, err := b.interleave("process start", []contender[sample]{
		{"ebb version", runs, try(b.tools.ebb, "version")},
		{floorName, runs, try(b.tools.empty)},
	})
	if err != nil {
		return err
	}
	s := &section{Title: "Starting a process", Note: "Nothing but start and end."}
	r.Sections = append(r.Sections, s)
	g := s.add("", all)
	r.start = g.find("ebb version").median - g.find(floorName).median
	return nil
}
