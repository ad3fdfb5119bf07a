package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
)

func runMount(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "print the steps, change nothing")
	root := f.String("root", "/sysroot", "`DIR` that is the root of the entries' paths")
	finish := f.Bool("finish", false, "only give sources that waited for their owner to them")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	sys.CalmMonitor()
	host, err := i.host(*root)
	if err != nil {
		return err
	}
	cfg, err := i.config()
	switch {
	case err != nil && (i.dryRun || *finish):
		return err
	case err != nil:
		return host.MountImpossible(err)
	case *finish:
		return i.finish(host, cfg, *root)
	case i.dryRun:
		return i.planMount(host, cfg, *root)
	}
	return host.Mount(cfg, *root)
}

func (i *invocation) finish(host *initrd.Host, cfg *config.Config, root string) error {
	entries, err := host.EntryRoot(cfg, root)
	if err != nil {
		return err
	}
	defer unix.Close(entries.Fd)
	if i.dryRun {
		report, err := host.PlanFinish(entries)
		i.printSteps("", report.Entries)
		return err
	}
	// Worst case without a baseline: ebb diff says so, and shows too much, and ebb
	// status takes an owner that nobody knows for one that is about to be made.
	if err := recordBaseline(host, cfg.Root.Kind, entries.Fd); err != nil {
		i.log.Log(kmsg.Refusal, "mount: the end of activation is not noted for ebb diff: %v", err)
	}
	return host.Finish(entries)
}

// planMount prints the half of "ebb plan" that is about entries.
func (i *invocation) planMount(host *initrd.Host, cfg *config.Config, root string) error {
	p := newPlan()
	err := p.addEntries(host, cfg, root)
	i.printSteps("", p.Entries)
	if p.Unwanted != "" {
		format.Fprintf(i.stdout, "bringing in no entries: %s\n", p.Unwanted)
	}
	i.printProblems(newPalette(i.stdout), p.Problems)
	return errors.Join(err, p.verdict())
}
