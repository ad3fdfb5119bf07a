package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// format is a way to show a report.
type format interface {
	head(w io.Writer)
	heading(w io.Writer, text string)
	paragraph(w io.Writer, text string)
	table(w io.Writer, columns []string, rows [][]string) error
}

func (r *report) render(w io.Writer, f format) error {
	f.head(w)
	f.heading(w, "Verdicts")
	if err := f.table(w, []string{"what", "limit", "measured", ""}, r.verdictRows()); err != nil {
		return err
	}
	for _, s := range r.Sections {
		f.heading(w, s.Title)
		if s.Note != "" {
			f.paragraph(w, s.Note)
		}
		if err := f.table(w, []string{"", "program", "runs", "median", "min - max", "times C", "processor", "memory"}, s.rows()); err != nil {
			return err
		}
	}
	if len(r.Boots) > 0 {
		f.heading(w, "Bringing entries into place: boots of virtual machines")
		f.paragraph(w, bootNote)
		if err := f.table(w, bootColumns(), r.bootRows()); err != nil {
			return err
		}
	}
	f.heading(w, "Measured on")
	for _, line := range append(r.Machine.lines(), r.Ebb) {
		f.paragraph(w, line)
	}
	return nil
}

func (r *report) verdictRows() (rows [][]string) {
	for _, v := range r.Verdicts {
		met := "met"
		if !v.Met {
			met = "NOT MET"
		}
		rows = append(rows, []string{v.What, v.Limit, v.Measured, met})
	}
	return rows
}

func (s *section) rows() (rows [][]string) {
	for _, g := range s.Groups {
		floor := g.times(floorName)
		for i := range g.Series {
			one := &g.Series[i]
			t := summarize(one.times())
			rows = append(rows, []string{
				g.Label, one.Name, fmt.Sprint(len(one.Samples)),
				seconds(t.median), seconds(t.min) + " - " + seconds(t.max),
				times(summarize(ratios(one.times(), floor))),
				seconds(summarize(one.processorTimes()).median), mebibytes(one.maxRSS()),
			})
		}
	}
	return rows
}

// plain is for terminals.
type plain struct{}

func (plain) head(io.Writer)                     {}
func (plain) heading(w io.Writer, text string)   { fmt.Fprintf(w, "\n%s\n", text) }
func (plain) paragraph(w io.Writer, text string) { fmt.Fprintln(w, text) }

func (plain) table(w io.Writer, columns []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{columns}, rows...) {
		fmt.Fprintln(t, "  "+strings.Join(row, "\t"))
	}
	return t.Flush()
}

// markdown is for documents.
type markdown struct{}

func (markdown) head(w io.Writer)                   { fmt.Fprintf(w, "%s\n\n%s\n", documentTitle, documentHead) }
func (markdown) heading(w io.Writer, text string)   { fmt.Fprintf(w, "\n## %s\n\n", text) }
func (markdown) paragraph(w io.Writer, text string) { fmt.Fprintf(w, "%s\n\n", text) }

func (markdown) table(w io.Writer, columns []string, rows [][]string) error {
	var b strings.Builder
	b.WriteString("| " + strings.Join(columns, " | ") + " |\n|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
