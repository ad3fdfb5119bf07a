package main

import (
	"errors"
	"path"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/keep"
	"github.com/ebb-nix/ebb/mounts"
)

func runKeep(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "say what would be kept, change nothing")
	list := f.Bool("list", false, "list what was kept without being declared")
	forget := f.Bool("forget", false, "take the paths off that list; their data stays in the store")
	store := f.String("store", "", "keep it in the store `DIR`")
	how := f.String("how", "", "bring it into place by `HOW`: bind, or sync for a file that its program replaces by rename")
	root := f.rootVar()
	paths, err := i.parsePaths(f, args, 0, -1)
	if err != nil {
		return err
	}
	if len(paths) == 0 != *list || *list && *forget {
		return &usageError{"usage: ebb keep PATH..., ebb keep --forget PATH..., or ebb keep --list"}
	}
	cfg, w, err := i.configAndWork(*root)
	if err != nil {
		return err
	}
	defer w.close()
	switch {
	case *list:
		return i.listKept(w)
	case *forget:
		return i.forget(w, paths)
	}
	if *store, err = chooseStore(cfg, *store); err != nil {
		return err
	}
	return i.keep(w, paths, *store, config.How(*how))
}

// work is what keeping something needs.
type work struct {
	host    *initrd.Host
	machine *keep.Machine
}

func (w *work) close() {
	unix.Close(w.machine.Root.Fd)
}

// configAndWork reads the config, and looks at the root in dir with it. The
// caller closes the work.
func (i *invocation) configAndWork(dir string) (*config.Config, *work, error) {
	cfg, err := i.config()
	if err != nil {
		return nil, nil, err
	}
	w, err := i.work(cfg, dir)
	return cfg, w, err
}

func (i *invocation) work(cfg *config.Config, root string) (*work, error) {
	host, err := i.host(root)
	if err != nil {
		return nil, err
	}
	entries, err := host.EntryRoot(cfg, root)
	if err != nil {
		return nil, err
	}
	members, err := initrd.MemberMounts(&cfg.Root, root)
	if err != nil {
		return nil, err
	}
	m := &keep.Machine{Root: entries, Lock: host.LockKeep, Proc: "/proc", Passwd: path.Join(root, "etc/passwd"), DryRun: i.dryRun, Measure: i.dryRun}
	for _, member := range members {
		if member.Mount != "/" {
			m.Ephemeral = append(m.Ephemeral, member.Mount)
		}
	}
	m.Quote = shellQuote
	m.Progress = progress()
	return &work{host: host, machine: m}, nil
}

func chooseStore(cfg *config.Config, wish string) (string, error) {
	var known []string
	for i := range cfg.Stores {
		known = append(known, cfg.Stores[i].Path)
		if wish != "" && path.Clean(wish) == cfg.Stores[i].Path {
			return cfg.Stores[i].Path, nil
		}
	}
	switch {
	case len(known) == 0:
		return "", &usageError{"the config has no store"}
	case wish == "" && len(known) == 1:
		return known[0], nil
	case wish == "":
		return "", &usageError{"there are several stores, say which: --store " + strings.Join(known, ", --store ")}
	}
	return "", &usageError{showText(wish) + " is no store; there are: " + strings.Join(known, ", ")}
}

// kept is what "ebb keep" prints.
type kept struct {
	Version int            `json:"version"`
	Paths   []*keep.Result `json:"paths"`
	Nix     string         `json:"nix"`
}

func (i *invocation) keep(w *work, paths []string, store string, how config.How) error {
	if how != "" && how != config.Bind && how != config.Sync {
		return &usageError{"--how is bind or sync"}
	}
	out := kept{Version: 1}
	for _, p := range paths {
		r := w.machine.Keep(p, store, how)
		out.Paths = append(out.Paths, r)
		if !i.json {
			i.printKept(r)
		}
	}
	out.Nix = w.machine.Nix(store, keep.Entries(out.Paths))
	if err := i.recordKept(w, out.Paths); err != nil {
		i.log.Log(kmsg.Refusal, "keep: %v", err)
	}
	if i.json {
		if err := printJSON(i.stdout, out); err != nil {
			return err
		}
	} else if out.Nix != "" {
		format.Fprintf(i.stdout, "\nUntil the configuration declares it, each boot brings it in from %s%s. Put this there:\n", store, config.KeptPath)
		i.indent(out.Nix)
	}
	return problemsOf(out.Paths)
}

func problemsOf(results []*keep.Result) error {
	for _, r := range results {
		if !r.OK() {
			return errProblems
		}
	}
	return nil
}

// recordKept enters what is in place now into the record of this boot.
func (i *invocation) recordKept(w *work, results []*keep.Result) error {
	var entries []mounts.EntryResult
	for _, r := range results {
		if !i.dryRun && (r.State == keep.Kept || r.State == keep.Placed) {
			entries = append(entries, mounts.EntryResult{
				Path: r.Path, Store: r.Store, Source: r.Source, How: r.How, Directory: r.Directory,
				State: mounts.InPlace, Kept: r.Since(),
			})
		}
	}
	return w.host.AddEntries(entries)
}

func (i *invocation) indent(text string) {
	for line := range strings.Lines(text) {
		format.Fprintf(i.stdout, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// printKept says what became of a path.
func (i *invocation) printKept(r *keep.Result) {
	clearProgress()
	p := newPalette(i.stdout)
	state := p.good(string(r.State))
	if !r.OK() {
		state = p.bad(string(r.State))
	}
	line := format.Sprintf("%s %s", state, showText(r.Path))
	if r.Stats != nil {
		line += format.Sprintf(": %d files, %s shared, %s copied, by %s", r.Stats.Files, formatSize(r.Stats.Shared), formatSize(r.Stats.Copied), r.How)
	}
	if r.Reason != "" {
		line += ": " + showText(r.Reason)
	}
	if r.Size != nil {
		line += ": " + formatSum(r.Size.Files, r.Size.Bytes)
	}
	format.Fprintf(i.stdout, "%s\n", line)
	i.printDetails(r)
}

func (i *invocation) printDetails(r *keep.Result) {
	say := func(what string, paths []string) {
		for _, path := range paths {
			format.Fprintf(i.stdout, "  %s: %s\n", what, showText(path))
		}
	}
	if d := r.Differs; d != nil {
		format.Fprintf(i.stdout, "  %d differ, %d are only there, %d only in the store\n", d.Changed, d.Only, d.Gone)
		say("differs", d.Paths)
	}
	say("never stood still while it was copied", r.Restless)
	say("changed at the last moment, in the old place", r.Late)
	for _, u := range r.Users {
		format.Fprintf(i.stdout, "  %s (%s, pid %d) still has the old place open, restart it: %s\n",
			showText(u.Unit), showText(u.Name), u.PIDs[0], showText(strings.Join(u.Files, ", ")))
	}
	say("note", r.Notes)
	say("type", r.WayOut)
}

// keptEntry is an entry of "ebb keep --list".
type keptEntry struct {
	Path      string     `json:"path"`
	Store     string     `json:"store"`
	How       config.How `json:"how"`
	Directory bool       `json:"directory"`
	Kept      string     `json:"kept"`
	Declared  bool       `json:"declared"` // by now: ebb keep --forget tidies up
}

// keptList is what "ebb keep --list" prints.
type keptList struct {
	Version  int         `json:"version"`
	Kept     []keptEntry `json:"kept"`
	Problems []string    `json:"problems"`
	Nix      string      `json:"nix"` // that declares what is not declared yet
}

func (i *invocation) listKept(w *work) error {
	out := keptList{Version: 1, Kept: []keptEntry{}, Problems: w.machine.Root.Notes}
	lists, _ := keep.List(w.machine.Root.Fd, w.machine.Root.Stores)
	for n, list := range lists {
		s := &w.machine.Root.Stores[n]
		var toDeclare []config.Entry
		for j := range list {
			e := &list[j]
			by, reason := config.KeptBy(w.machine.Root.Stores, s.Path, e)
			declared := reason == "" && by != nil && by.Kept == ""
			out.Kept = append(out.Kept, keptEntry{e.Path, s.Path, e.How, e.Directory, e.Kept, declared})
			if !declared {
				toDeclare = append(toDeclare, *e)
			}
		}
		out.Nix += w.machine.Nix(s.Path, toDeclare)
	}
	if !i.json {
		i.printKeptList(&out)
	} else if err := printJSON(i.stdout, out); err != nil {
		return err
	}
	if len(out.Problems) > 0 {
		return errProblems
	}
	return nil
}

func (i *invocation) printKeptList(list *keptList) {
	declared := ""
	for _, e := range list.Kept {
		line := format.Sprintf("%s  %s  %s in %s", e.Kept, showText(e.Path), e.How, showText(e.Store))
		if e.Declared {
			line, declared = line+", declared by now", declared+" "+shellQuote(e.Path)
		}
		format.Fprintf(i.stdout, "%s\n", line)
	}
	for _, p := range list.Problems {
		format.Fprintf(i.stdout, "! %s\n", showText(p))
	}
	if list.Nix != "" {
		format.Fprintln(i.stdout, "\nTo declare it:")
		i.indent(list.Nix)
	}
	if declared != "" {
		i.next("ebb keep --forget" + declared)
	}
}

func (i *invocation) forget(w *work, paths []string) error {
	verb := "is"
	if i.dryRun {
		verb = "would be"
	}
	var failed []error
	for _, p := range paths {
		store, err := w.machine.Forget(p)
		if failed = append(failed, err); err == nil && !i.json {
			format.Fprintf(i.stdout, "%s %s off the list of %s: it is in place until the next boot, and its data stays in %s\n",
				showText(p), verb, showText(store), showText(store+p))
		}
	}
	if i.json {
		failed = append(failed, i.listKept(w)) // what is left of it
	}
	return errors.Join(failed...)
}
