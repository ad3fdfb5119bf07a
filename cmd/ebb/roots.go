package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/roots"
)

// runRoots lists the archive. The file system is looked at through a mount of
// its own, so it works wherever the device is there: in the running system and
// in any shell.
func runRoots(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	if cfg.Root.Kind != config.KindBtrfs {
		return fmt.Errorf("a root of kind %s has no archive", cfg.Root.Kind)
	}
	var list []roots.Root
	err = initrd.WithTopLevel(&cfg.Root, func(top int) (err error) {
		list, err = roots.List(top, cfg.Root.Archive)
		return err
	})
	if err != nil {
		return err
	}
	if i.json {
		return printJSON(i.stdout, struct {
			Archive string       `json:"archive"`
			Roots   []roots.Root `json:"roots"`
		}{cfg.Root.Archive, list})
	}
	i.printRoots(cfg.Root.Archive, list)
	return nil
}

func (i *invocation) printRoots(archive string, list []roots.Root) {
	if len(list) == 0 {
		fmt.Fprintf(i.stdout, "No root has been archived in %q yet.\n", archive)
		return
	}
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tARCHIVED\tBOOTED\tKERNEL\tSUBVOLUMES\t")
	for _, r := range list {
		archived, booted, kernel := "?", "?", "?"
		if r.Info != nil {
			archived = shortTime(r.Info.Archived)
			if r.Info.Previous != nil {
				booted, kernel = shortTime(r.Info.Previous.Time), r.Info.Previous.Kernel
			}
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t\n", r.Number, archived, booted, kernel, describeSubvolumes(r))
	}
	table.Flush()
}

func describeSubvolumes(r roots.Root) string {
	text := ""
	for n, s := range r.Subvolumes {
		if n > 0 {
			text += ", "
		}
		text += s.Name
		if !s.ReadOnly {
			text += " (writable)"
		}
	}
	if r.Damage != "" {
		text += " (" + r.Damage + ")"
	}
	return text
}

func shortTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
