package main

import (
	"errors"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/catalog"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/keep"
	"github.com/ebb-nix/ebb/mounts"
	"github.com/ebb-nix/ebb/roots"
)

// explained is what "ebb why" tells of a path.
type explained struct {
	Path   string           `json:"path"`
	Fate   keep.Fate        `json:"fate"`
	Reason string           `json:"reason,omitempty"`
	Entry  string           `json:"entry,omitempty"` // that keeps it
	Store  string           `json:"store,omitempty"`
	Kept   string           `json:"kept,omitempty"` // when, of what "ebb keep" put on its list
	What   string           `json:"what,omitempty"` // it is, as the catalog knows it
	Class  catalog.Class    `json:"class,omitempty"`
	Lost   *time.Time       `json:"lost,omitempty"`  // when, of what is missing: its root was archived then
	Roots  []*roots.Version `json:"roots"`           // that have it, each content once
	Notes  []string         `json:"notes,omitempty"` // why that is not all
	Next   string           `json:"next,omitempty"`  // what to type
}

func runWhy(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	root := f.rootVar()
	paths, err := i.parsePaths(f, args, 1, -1)
	if err != nil {
		return err
	}
	cfg, w, err := i.configAndWork(*root)
	if err != nil {
		return err
	}
	defer w.close()
	known, err := catalog.Load()
	if err != nil {
		return err
	}
	out := struct {
		Version int          `json:"version"`
		Paths   []*explained `json:"paths"`
	}{Version: 1}
	var failed error
	for _, p := range paths {
		e := explain(w, cfg, known, p, *root)
		if out.Paths = append(out.Paths, e); e.Fate == keep.FateLost || e.Fate == keep.FateMissing || e.Fate == keep.FateUnknown {
			failed = errProblems
		}
		if !i.json {
			i.printExplained(e)
		}
	}
	if i.json {
		failed = errors.Join(printJSON(i.stdout, out), failed)
	}
	return failed
}

func explain(w *work, cfg *config.Config, known *catalog.Catalog, p, root string) *explained {
	e := &explained{Path: p, Roots: []*roots.Version{}}
	fate, by, reason := w.machine.Why(p)
	e.Fate, e.Reason = fate, reason
	if by != nil {
		e.Entry, e.Store, e.Kept = by.Entry.Path, by.Store.Path, by.Entry.Kept
	}
	if fate == keep.FateLost && cfg.Root.Kind == config.KindNone {
		e.Fate, e.Reason = keep.FateStays, "ebb does not make this root fresh (kind none)"
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(path.Join(root, p), buf)
	if err == nil && e.Fate == keep.FateLost && strings.HasPrefix(string(buf[:n]), "/nix/store/") {
		e.Fate, e.Reason = keep.FateStays, "a link into the Nix store, which activation makes anew"
	}
	if c := known.Lookup(p); c != nil {
		e.What, e.Class = c.What, c.Class
	}
	if cfg.Root.Kind == config.KindBtrfs {
		if err := e.findIn(cfg, root); err != nil {
			e.Notes = append(e.Notes, "the archived roots: "+err.Error())
		}
	}
	e.Next = e.next(w, cfg, by)
	return e
}

// next is what to type next.
func (e *explained) next(w *work, cfg *config.Config, by *mounts.Item) string {
	quoted := shellQuote(e.Path)
	switch {
	case by != nil && e.Fate != keep.FateKept:
		return "ebb apply"
	case e.Kept != "":
		return "ebb keep --list   # to declare it"
	case e.Fate == keep.FateKept:
		return "ebb status"
	case e.Fate == keep.FateStore:
		for i := range cfg.Stores {
			if at, below := strings.CutPrefix(e.Path, cfg.Stores[i].Path+"/"); below && at != ".ebb" && !strings.HasPrefix(at, ".ebb/") {
				return "ebb why " + shellQuote("/"+at)
			}
		}
		return "ebb orphans"
	case e.Fate == keep.FateMissing && len(e.Roots) > 0:
		return format.Sprintf("ebb restore --from %d %s", e.Roots[0].Roots[0], quoted)
	case e.Fate == keep.FateUnknown && unix.Geteuid() != 0:
		return "sudo ebb why " + quoted
	case e.Fate == keep.FateUnknown:
		return `ebb why "$(realpath ` + quoted + `)"`
	case e.Fate == keep.FateStays || len(cfg.Stores) == 0:
		return "ebb diff"
	}
	return e.nextToKeep(w, cfg)
}

// nextToKeep is what to type for something that is lost, or is only in a store.
func (e *explained) nextToKeep(w *work, cfg *config.Config) string {
	quoted, store := shellQuote(e.Path), cfg.Stores[0].Path
	w.machine.DryRun = true
	would := w.machine.Keep(e.Path, store, "")
	switch {
	case would.State == keep.Planned, e.Fate == keep.FateLost && unix.Geteuid() != 0:
		command := "ebb keep "
		if len(cfg.Stores) > 1 {
			command += "--store " + shellQuote(store) + " "
		}
		if e.Class == catalog.No {
			return command + quoted + "   # but it need not be kept"
		}
		return command + quoted
	case e.Fate == keep.FateMissing && cfg.Root.Kind == config.KindBtrfs:
		return "ebb find " + shellQuote(literal(path.Base(e.Path)))
	case e.Fate == keep.FateMissing:
		return "ebb diff"
	case e.Reason != "": // in memory, which no entry brings back
		return format.Sprintf("cp -a %s %s", quoted, shellQuote(store+"/"))
	}
	e.Notes = append(e.Notes, "ebb keep: "+would.Reason)
	if len(would.WayOut) > 0 {
		return strings.Join(would.WayOut, "\n")
	}
	return "ebb diff " + quoted
}

// findIn looks the path up in the archive.
func (e *explained) findIn(cfg *config.Config, root string) error {
	members, err := initrd.MemberMounts(&cfg.Root, root)
	if err != nil {
		return err
	}
	return initrd.WithTopLevel(&cfg.Root, func(top int) error {
		find := &roots.Find{Top: top, Archive: cfg.Root.Archive, Members: members}
		found, err := find.Run([]string{literal(e.Path)})
		e.Roots = append(e.Roots, found...)
		if e.Fate == keep.FateMissing && len(found) > 0 {
			e.Lost = lostAt(top, cfg.Root.Archive, found[0].Roots[0])
		}
		return err
	})
}

// lostAt is when a root was archived, nil when nothing tells.
func lostAt(top int, directory string, number uint64) *time.Time {
	fd, err := sys.OpenBeneath(top, path.Join(directory, archive.DirectoryName(number)), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	info, err := archive.ReadInfo(fd)
	if err != nil {
		return nil
	}
	return &info.Archived
}

// literal is the pattern that matches the path alone.
func literal(p string) string {
	var text []byte
	for _, c := range []byte(p) {
		if strings.IndexByte(`\*?[`, c) >= 0 {
			text = append(text, '\\')
		}
		text = append(text, c)
	}
	return string(text)
}

func (i *invocation) printExplained(e *explained) {
	p := newPalette(i.stdout)
	text, more := string(e.Fate), ""
	switch e.Fate {
	case keep.FateKept:
		more = " by the entry " + showText(e.Entry) + " of " + showText(e.Store)
	case keep.FateStore:
		text = "kept"
	case keep.FateLost:
		more = " at the next boot"
	case keep.FateMissing:
		more = ": there is no such file now"
	}
	if e.Fate == keep.FateLost || e.Fate == keep.FateMissing || e.Fate == keep.FateUnknown {
		text = p.bad(text) + more
	} else {
		text = p.good(text) + more
	}
	if e.Kept != "" {
		text += ", since ebb keep at " + e.Kept
	}
	if e.Reason != "" {
		text += ": " + showText(e.Reason)
	}
	format.Fprintf(i.stdout, "%s\n", showText(e.Path))
	var t table
	t.row("  the next boot", text)
	if e.Lost != nil {
		t.row("  it was lost", format.Sprintf("with archived root %d, %s", e.Roots[0].Roots[0], shortTime(*e.Lost)))
	}
	if e.What != "" {
		t.row("  what it is", format.Sprintf("%s (%s)", e.What, e.Class))
	}
	for _, v := range e.Roots {
		at := format.Sprintf("%d", v.Roots[0])
		if n := len(v.Roots) - 1; n > 0 {
			at += format.Sprintf(" and %d older", n)
		}
		t.row("  archived root", format.Sprintf("%s: %s of %s, changed %s", at, v.Type, formatSize(v.Size), shortTime(v.Modified)))
	}
	for _, note := range e.Notes {
		t.row("  note", showText(note))
	}
	t.print(i.stdout)
	if e.Next != "" {
		i.next(e.Next)
	}
}
