package main

import (
	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
)

func runMount(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "print the steps, change nothing")
	root := f.String("root", "/sysroot", "`DIR` that is the root of the entries' paths")
	finish := f.Bool("finish", false, "only give sources that waited for their owner to them")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
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
	case !i.dryRun && !*finish:
		return host.Mount(cfg, *root)
	}
	entries, err := host.EntryRoot(cfg, *root)
	if err != nil {
		return err
	}
	defer unix.Close(entries.Fd)
	if *finish {
		// Worst case without a baseline: ebb diff says so, and shows too much.
		if err := recordBaseline(host, cfg.Root.Kind, entries.Fd); err != nil {
			i.log.Log(kmsg.Refusal, "mount: the end of activation is not noted for ebb diff: %v", err)
		}
		return host.Finish(entries)
	}
	for _, e := range entries.Plan().Entries {
		for _, step := range e.Steps {
			format.Fprintln(i.stdout, step)
		}
	}
	return nil
}
