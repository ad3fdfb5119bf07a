package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/mounts"
)

// plan is what "ebb plan" prints.
type plan struct {
	Rollback rollbackPlan         `json:"rollback"`
	Entries  []mounts.EntryResult `json:"entries"`
	Problems []initrd.Problem     `json:"problems"`
}

type rollbackPlan struct {
	Steps   []string `json:"steps"`
	Refused string   `json:"refused,omitempty"`
	Hint    string   `json:"hint,omitempty"`
}

func runPlan(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	root := f.String("root", defaultRoot(), "`DIR` that is the root")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	host, err := i.host("/sysroot")
	if err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	p := plan{Rollback: rollbackPlan{Steps: []string{}}, Entries: []mounts.EntryResult{}, Problems: []initrd.Problem{}}
	steps, err := host.PlanRollback(cfg)
	p.Rollback.Steps = append(p.Rollback.Steps, steps...)
	if err != nil {
		p.Rollback.Refused, p.Rollback.Hint = err.Error(), initrd.Hint(err)
		p.Problems = append(p.Problems, initrd.Problem{Text: "rollback: " + err.Error(), Hint: initrd.Hint(err)})
	}
	entries, err := host.EntryRoot(cfg, *root)
	if err != nil {
		return errors.Join(err, i.printPlan(&p))
	}
	defer unix.Close(entries.Fd)
	p.addEntries(entries.Plan())
	if err := i.printPlan(&p); err != nil {
		return err
	}
	if len(p.Problems) > 0 {
		return errProblems
	}
	return nil
}

func (p *plan) addEntries(report mounts.Report) {
	p.Entries = append(p.Entries, report.Entries...)
	for _, e := range report.Entries {
		if !e.OK() {
			p.Problems = append(p.Problems, initrd.Problem{Text: format.Sprintf("entry %s of store %s: %s", e.Path, e.Store, e.Reason)})
		}
	}
	for _, note := range report.Notes {
		p.Problems = append(p.Problems, initrd.Problem{Text: note})
	}
}

func (i *invocation) printPlan(p *plan) error {
	if i.json {
		return printJSON(i.stdout, p)
	}
	colours := newPalette(i.stdout)
	format.Fprintln(i.stdout, colours.bold("Rollback"))
	for _, step := range p.Rollback.Steps {
		format.Fprintf(i.stdout, "  %s\n", step)
	}
	if len(p.Rollback.Steps) == 0 && p.Rollback.Refused == "" {
		format.Fprintln(i.stdout, "  nothing to do")
	}
	format.Fprintln(i.stdout, colours.bold("Entries"))
	steps := 0
	for _, e := range p.Entries {
		for _, step := range e.Steps {
			format.Fprintf(i.stdout, "  %s\n", step)
			steps++
		}
	}
	if steps == 0 {
		format.Fprintln(i.stdout, "  nothing to do")
	}
	i.printProblems(colours, p.Problems)
	if len(p.Problems) > 0 {
		i.next("ebb doctor")
	}
	return nil
}
