package main

import (
	"encoding/json"
	"io"
)

// report is all that was found out.
type report struct {
	Machine  machine    `json:"machine"`
	Ebb      string     `json:"ebb"`
	Sections []*section `json:"sections"`
	Boots    []*boots   `json:"boots"`
	Verdicts []verdict  `json:"verdicts"`
}

// section is one kind of measurement.
type section struct {
	Title  string   `json:"title"`
	Note   string   `json:"note,omitempty"`
	Groups []*group `json:"groups"`
}

// group is one situation: what was measured in turn, and can be compared.
type group struct {
	Label  string   `json:"label"`
	Series []series `json:"series"`
}

// verdict is a limit and what became of it.
type verdict struct {
	What     string `json:"what"`
	Limit    string `json:"limit"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

func (s *section) add(label string, all []series) *group {
	g := &group{Label: label, Series: all}
	s.Groups = append(s.Groups, g)
	return g
}

// times returns the times of a program, in seconds.
func (g *group) times(name string) []float64 {
	for i := range g.Series {
		if g.Series[i].Name == name {
			return g.Series[i].times()
		}
	}
	return nil
}

func (g *group) find(name string) summary { return summarize(g.times(name)) }

func (r *report) judge(what, limit, measured string, met bool) {
	r.Verdicts = append(r.Verdicts, verdict{what, limit, measured, met})
}

func (r *report) write(w io.Writer, o options) error {
	switch {
	case o.json:
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(r)
	case o.markdown:
		return r.render(w, &markdown{})
	}
	return r.render(w, &plain{})
}
