package main

import (
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/mounts"
)

func runStatus(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	all := f.Bool("all", false, "list every entry, also those in place")
	required := f.Bool("required", false, "only look at the entries that are required")
	root := f.rootVar()
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	host, err := i.host(*root)
	if err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	status, err := host.Status(cfg, *root)
	if err != nil {
		return err
	}
	if *required {
		return i.reportRequired(status)
	}
	if i.json {
		if err := printJSON(i.stdout, status); err != nil {
			return err
		}
	} else {
		i.printStatus(status, *all)
	}
	if !status.OK {
		return errProblems
	}
	return nil
}

func (i *invocation) reportRequired(s *initrd.Status) error {
	missing, kept := s.MissingRequired()
	if kept != "" {
		i.log.Log(kmsg.Refusal, "going on without the entries that are required: %s", kept)
	}
	for _, e := range missing {
		i.log.Log(kmsg.Failure, "required entry %s is not in place: %s", e.Path, e.Reason)
	}
	if len(missing) > 0 {
		return errProblems
	}
	return nil
}

func (i *invocation) printStatus(s *initrd.Status, all bool) {
	p := newPalette(i.stdout)
	verdict := p.good("all is well")
	if !s.OK {
		verdict = p.bad(format.Sprintf("%d problems", len(s.Problems)))
		if len(s.Problems) == 1 {
			verdict = p.bad("1 problem")
		}
	}
	var t table
	t.row("ebb", verdict)
	t.row("root", describeRoot(s))
	t.row("old root", describeOldRoot(s))
	if s.Record != nil && s.Record.Rollback != nil {
		rows(&t, "not copied", s.Record.Rollback.NotCopied)
		rows(&t, "recovered", s.Record.Rollback.Recovered)
	}
	t.row("entries", describeEntries(s))
	if s.Record != nil && s.Record.Rollback != nil && s.Record.Mount != nil {
		t.row("time", format.Sprintf("rollback %.3f s, entries %.3f s", s.Record.Rollback.Seconds, s.Record.Mount.Seconds))
	}
	t.print(i.stdout)
	i.printProblems(p, s.Problems)
	i.printEntries(p, s, all)
	switch {
	case !s.OK:
		i.next("ebb doctor")
	case s.Root.Kind != string(config.KindNone) && !inInitrd():
		i.next("ebb diff")
	}
}

// rows shows the first of several texts, each in a row.
func rows(t *table, name string, texts []string) {
	const most = 5
	for n, text := range texts {
		if n == most {
			text = format.Sprintf("and %d more: ebb status --json has them all", len(texts)-most)
		}
		t.row(name, kmsg.Escape(text))
		if name = ""; n == most {
			break
		}
	}
}

func describeRoot(s *initrd.Status) string {
	switch {
	case s.Root.Kind == string(config.KindNone):
		return "kept at every boot (kind none)"
	case !s.Root.Mounted:
		return s.Root.Kind + ", not mounted yet"
	case s.Root.Kind == string(config.KindTmpfs) && s.Root.Fresh:
		return "fresh tmpfs"
	case !s.Root.Fresh:
		return s.Root.Kind + ", NOT fresh"
	}
	text := format.Sprintf("fresh, subvolume %s (id %d)", s.Root.Subvolume, s.Root.ID)
	if s.Record.Rollback.CopyOf > 0 {
		text += format.Sprintf(", a copy of archived root %d", s.Record.Rollback.CopyOf)
	}
	return text
}

func describeOldRoot(s *initrd.Status) string {
	if s.Root.Archived == "" {
		return "none was archived in this boot"
	}
	return format.Sprintf("%s (number %d)", s.Root.Archived, s.Record.Rollback.Sequence)
}

func describeEntries(s *initrd.Status) string {
	count := map[mounts.State]int{}
	for _, e := range s.Entries {
		count[e.State]++
	}
	text := format.Sprintf("%d in place", count[mounts.InPlace]+count[mounts.Already])
	for _, other := range []struct {
		state mounts.State
		text  string
	}{
		{mounts.Waiting, "waiting for their program to make the file"},
		{mounts.Pending, "waiting for their owner"},
		{mounts.Unseen, "that only root can see"},
		{mounts.Missing, "MISSING"},
		{mounts.Refused, "REFUSED"},
		{mounts.Failed, "FAILED"},
	} {
		if n := count[other.state]; n > 0 {
			text += format.Sprintf(", %d %s", n, other.text)
		}
	}
	return text
}

func (i *invocation) printProblems(p palette, problems []initrd.Problem) {
	if len(problems) == 0 {
		return
	}
	format.Fprintf(i.stdout, "\n%s\n", p.bold("Problems"))
	for _, problem := range problems {
		format.Fprintf(i.stdout, "  %s %s\n", p.bad("!"), kmsg.Escape(problem.Text))
		if problem.Hint != "" {
			format.Fprintf(i.stdout, "    %s\n", kmsg.Escape(problem.Hint))
		}
	}
}

// printEntries lists the entries where it was asked for, or where they can be
// taken in at a glance; otherwise those that there is something to say of.
func (i *invocation) printEntries(p palette, s *initrd.Status, all bool) {
	const glance = 20
	all = all || len(s.Entries) <= glance
	var t table
	for _, e := range s.Entries {
		state := p.good(string(e.State))
		switch {
		case !e.OK():
			state = p.bad(string(e.State))
		case e.Reason == "" && !all:
			continue
		}
		t.row("  "+state, kmsg.Quote(e.Path), string(e.How), kmsg.Quote(e.Store), kmsg.Escape(e.Reason))
	}
	if len(t.rows) > 0 {
		format.Fprintln(i.stdout)
		t.print(i.stdout)
	}
	if !all {
		format.Fprintf(i.stdout, "\nebb status --all lists all %d entries.\n", len(s.Entries))
	}
}
