package main

import "fmt"

func runRollback(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "print the steps, change nothing")
	root := f.String("root", "/sysroot", "`DIR` where the root will be mounted")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
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
			fmt.Fprintln(i.stdout, line)
		}
		return err
	}
	if err != nil {
		return host.RollbackImpossible(err)
	}
	return host.Rollback(cfg)
}
