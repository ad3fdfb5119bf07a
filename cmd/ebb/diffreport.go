package main

import (
	"strings"
	"time"

	"github.com/ebb-nix/ebb/catalog"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/diff"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
)

// diffDocument is what "ebb diff --json" prints: docs/json.md describes it.
type diffDocument struct {
	Version  int        `json:"version"`
	Root     string     `json:"root"`
	Kind     string     `json:"kind"`
	From     uint64     `json:"from,omitempty"`
	Baseline *time.Time `json:"baseline"` // null: it is not known
	Path     string     `json:"path"`
	Lost     diff.Sum   `json:"lost"`
	Hidden   diff.Sum   `json:"hidden"`
	Items    []diffItem `json:"items"`
	Problems []string   `json:"problems"`
}

type diffItem struct {
	Path  string    `json:"path"`
	Type  string    `json:"type"` // directory, file, or more: names of the directory that are left out
	Open  bool      `json:"open,omitempty"`
	Depth int       `json:"depth"`
	Names int       `json:"names,omitempty"` // of type more
	Files uint64    `json:"files"`
	Bytes uint64    `json:"bytes"`
	Time  time.Time `json:"modified"`
	UID   uint32    `json:"uid"`
	Name  string    `json:"name,omitempty"` // in the catalog
	What  string    `json:"what,omitempty"`
	Class string    `json:"class,omitempty"`
}

// mostLines is how many lines can be taken in.
const mostLines = 40

func (d *difference) report() error {
	for _, err := range d.judged.Failures {
		d.log.Log(kmsg.Refusal, "diff: %v", err)
	}
	if d.save {
		if err := d.saveReport(); err != nil {
			return err
		}
	}
	switch {
	case d.files0:
		return d.printNames()
	case d.json:
		return printJSON(d.stdout, d.document())
	case d.nix:
		if !d.found {
			return nil
		}
		store := "/persist"
		if len(d.cfg.Stores) > 0 {
			store = d.cfg.Stores[0].Path
		}
		format.Fprint(d.stdout, d.judged.Nix(d.node, store))
		return nil
	}
	d.print()
	return nil
}

// lines are what is shown.
func (d *difference) lines() (lines []diff.Line) {
	switch {
	case !d.found:
	case d.files:
		_ = d.judged.Each(d.node, func(l diff.Line) error { lines = append(lines, l); return nil })
	default:
		lines = d.judged.Lines(d.node, int(d.depth), mostLines)
	}
	return lines
}

func (d *difference) printNames() error {
	if !d.found {
		return nil
	}
	var text []byte
	err := d.judged.Each(d.node, func(l diff.Line) (err error) {
		text = append(append(text, l.Path...), 0)
		if len(text) > 1<<16 {
			_, err = d.stdout.Write(text)
			text = text[:0]
		}
		return err
	})
	if err == nil {
		_, err = d.stdout.Write(text)
	}
	return err
}

func (d *difference) document() *diffDocument {
	doc := &diffDocument{
		Version: 1, Root: d.root, Kind: string(d.cfg.Root.Kind), From: d.from, Path: d.path,
		Hidden: d.judged.Hidden, Items: []diffItem{}, Problems: []string{},
	}
	if d.found {
		doc.Lost = d.judged.Sum(d.node)
	}
	if d.baseline.IsKnown() {
		doc.Baseline = &d.baseline.Time
	}
	for _, err := range d.judged.Failures {
		doc.Problems = append(doc.Problems, err.Error())
	}
	for _, l := range d.lines() {
		item := diffItem{
			Path: l.Path, Type: "file", Open: l.Open, Depth: l.Depth, Names: l.More, Files: l.Sum.Files, Bytes: l.Sum.Bytes,
			Time: time.Unix(0, l.Time).UTC(), UID: l.UID,
		}
		switch {
		case l.More > 0:
			item.Type = "more"
		case l.Directory:
			item.Type = "directory"
		}
		if e := l.Known; e != nil {
			item.Name, item.What, item.Class = e.Name, e.What, string(e.Class)
		}
		doc.Items = append(doc.Items, item)
	}
	return doc
}

func (d *difference) print() {
	if !d.found {
		d.printNothing()
		return
	}
	p := newPalette(d.stdout)
	lines := d.lines()
	var t table
	t.row(p.bold("SIZE"), p.bold("FILES"), p.bold("CHANGED"), p.bold("PATH"), p.bold("WHAT IT IS"))
	var above []string // the paths of the open directories around
	var told *catalog.Entry
	for _, l := range lines {
		above = append(above[:min(l.Depth, len(above))], l.Path)
		around := d.path
		if l.Depth > 0 {
			around = above[l.Depth-1]
		}
		what := ""
		if l.Known != nil && l.Known != told && l.More == 0 {
			what = describeKnown(p, l.Known)
		}
		told = l.Known
		t.row(formatSize(l.Sum.Bytes), format.Sprint(l.Sum.Files), formatAge(time.Since(time.Unix(0, l.Time))),
			strings.Repeat("  ", l.Depth)+d.nameOf(&l, around), what)
	}
	t.print(d.stdout)
	d.printEnd(lines)
}

// nameOf is a path as it stands in the tree: below the directory around it.
func (d *difference) nameOf(l *diff.Line, around string) string {
	if l.More > 0 {
		return format.Sprintf("... %d more", l.More)
	}
	name := l.Path
	if l.Depth > 0 {
		name = strings.TrimPrefix(name[len(around):], "/")
	}
	if l.Directory {
		name += "/"
	}
	return showText(name)
}

func describeKnown(p palette, e *catalog.Entry) string {
	switch e.Class {
	case catalog.Must:
		return e.What + ", " + p.bad("must be kept")
	case catalog.Should:
		return e.What + ", should be kept"
	}
	return e.What + ", " + p.good("need not be kept")
}

func (d *difference) printNothing() {
	where := "Nothing"
	if d.path != "/" {
		where = "Nothing in " + showText(d.path)
	}
	switch {
	case d.from > 0:
		format.Fprintf(d.stdout, "%s of archived root %d is missing here.\n", where, d.from)
	case d.cfg.Root.Kind == config.KindNone:
		format.Fprintf(d.stdout, "%s has changed since this boot.\n", where)
	default:
		format.Fprintf(d.stdout, "%s will be lost.\n", where)
	}
	d.printHidden()
}

func (d *difference) printHidden() {
	if h := d.judged.Hidden; h.Files > 0 && d.path == "/" {
		format.Fprintf(d.stdout, "Not shown: %s of caches and the like (--all shows them).\n", formatSum(h.Files, h.Bytes))
	}
}

func (d *difference) printEnd(lines []diff.Line) {
	all := d.judged.Sum(d.node)
	sum := formatSum(all.Files, all.Bytes)
	format.Fprintln(d.stdout)
	switch {
	case d.from > 0:
		format.Fprintf(d.stdout, "%s of archived root %d are not here.\n", sum, d.from)
	case d.cfg.Root.Kind == config.KindNone:
		format.Fprintf(d.stdout, "%s have changed; this root is kept at every boot (kind none).\n", sum)
	default:
		format.Fprintf(d.stdout, "The next boot loses %s.\n", sum)
	}
	if !d.baseline.IsKnown() && d.from == 0 {
		format.Fprintln(d.stdout, "This boot has not recorded when activation was over: what activation made is shown, too.")
	}
	d.printHidden()
	switch {
	case d.from > 0:
		d.next(format.Sprintf("ebb restore --from %d %s", d.from, shellQuote(lines[0].Path)))
	case d.cfg.Root.Kind != config.KindNone:
		d.next("ebb diff --nix")
	}
}

func formatSum(files, bytes uint64) string {
	if files == 1 {
		return "1 file (" + formatSize(bytes) + ")"
	}
	return format.Sprintf("%d files (%s)", files, formatSize(bytes))
}

// ageUnit is a unit that people count in.
type ageUnit struct {
	name string
	size time.Duration
}

func ageUnits() []ageUnit {
	const day = 24 * time.Hour
	return []ageUnit{{"y", 365 * day}, {"d", day}, {"h", time.Hour}, {"min", time.Minute}}
}

// formatAge is how long ago something was: "3 h".
func formatAge(age time.Duration) string {
	for _, unit := range ageUnits() {
		if age >= unit.size {
			return format.Sprintf("%d %s", int64(age/unit.size), unit.name)
		}
	}
	return "now"
}
