package main

import (
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

func runRollback(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "print the steps, change nothing")
	root := f.String("root", "/sysroot", "`DIR` where the root will be mounted")
	notStarted := f.Bool("not-started", false, "only record why there was no rollback, if there was none")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	if i.dryRun && *notStarted {
		return &usageError{"--not-started changes nothing but the boot record: there is no --dry-run of it"}
	}
	sys.CalmMonitor()
	host, err := i.host(*root)
	if err != nil {
		return err
	}
	cfg, err := i.config()
	if i.dryRun {
		if err != nil {
			return err
		}
		lines, err := host.PlanRollback(cfg)
		for _, line := range lines {
			format.Fprintln(i.stdout, line)
		}
		return err
	}
	switch {
	case *notStarted:
		return i.reportNotStarted(host.RollbackNotStarted(cfg, err))
	case err != nil:
		return host.RollbackImpossible(err)
	}
	return host.Rollback(cfg)
}

// reportNotStarted says why there was no rollback. To have said it is all that
// was asked for, so it is no failure.
func (i *invocation) reportNotStarted(why error) error {
	if why != nil {
		report(i.log, i.command, why)
	}
	return nil
}
