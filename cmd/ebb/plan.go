package main

import (
	"errors"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/mounts"
)

// plan is what "ebb plan" prints.
type plan struct {
	Version  int                  `json:"version"`
	Rollback rollbackPlan         `json:"rollback"`
	Entries  []mounts.EntryResult `json:"entries"`
	Unwanted string               `json:"unwanted,omitempty"` // why no entries would be brought in
	Problems []initrd.Problem     `json:"problems"`
}

func newPlan() *plan {
	return &plan{Version: 1, Rollback: rollbackPlan{Steps: []string{}}, Entries: []mounts.EntryResult{}, Problems: []initrd.Problem{}}
}

type rollbackPlan struct {
	Steps   []string `json:"steps"`
	Refused string   `json:"refused,omitempty"`
	Hint    string   `json:"hint,omitempty"`
}

func runPlan(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	root := f.rootVar()
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
	p := newPlan()
	steps, err := host.PlanRollback(cfg)
	p.Rollback.Steps = append(p.Rollback.Steps, steps...)
	if err != nil {
		p.Rollback.Refused, p.Rollback.Hint = err.Error(), initrd.Hint(err)
		p.Problems = append(p.Problems, initrd.Problem{Text: "rollback: " + err.Error(), Hint: initrd.Hint(err)})
	}
	if err := p.addEntries(host, cfg, *root); err != nil {
		return errors.Join(err, i.printPlan(p))
	}
	return errors.Join(i.printPlan(p), p.verdict())
}

// verdict is the error of a plan that would not be carried out whole.
func (p *plan) verdict() error {
	if len(p.Problems) > 0 {
		return errProblems
	}
	return nil
}

func (p *plan) addEntries(host *initrd.Host, cfg *config.Config, root string) error {
	report, unwanted, err := host.PlanMount(cfg, root)
	p.Unwanted = unwanted
	p.Entries = append(p.Entries, report.Entries...)
	for _, e := range report.Entries {
		if !e.OK() {
			p.Problems = append(p.Problems, initrd.Problem{Text: format.Sprintf("entry %s of store %s: %s", e.Path, e.Store, e.Reason)})
		}
	}
	for _, note := range report.Notes {
		p.Problems = append(p.Problems, initrd.Problem{Text: note})
	}
	return err
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
	switch steps := i.printSteps("  ", p.Entries); {
	case p.Unwanted != "":
		format.Fprintf(i.stdout, "  bringing in no entries: %s\n", p.Unwanted)
	case steps == 0:
		format.Fprintln(i.stdout, "  nothing to do")
	}
	i.printProblems(colours, p.Problems)
	if len(p.Problems) > 0 {
		i.next("ebb doctor")
	}
	return nil
}

// printSteps prints what would be done for the entries, and counts it.
func (i *invocation) printSteps(indent string, entries []mounts.EntryResult) (count int) {
	for _, e := range entries {
		for _, step := range e.Steps {
			format.Fprintf(i.stdout, "%s%s\n", indent, step)
			count++
		}
	}
	return count
}
