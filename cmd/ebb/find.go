package main

import (
	"errors"
	"strings"

	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/roots"
)

func runFind(i *invocation, args []string) error {
	find := &roots.Find{}
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.Uint64Var(&find.From, "from", 0, "only look into archived root `N`")
	root := f.rootVar()
	patterns, err := i.parse(f, args, 1, -1)
	if err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	if _, err := archiveOf(cfg); err != nil {
		return err
	}
	find.Archive = cfg.Root.Archive
	if find.Members, err = initrd.MemberMounts(&cfg.Root, *root); err != nil {
		return err
	}
	return initrd.WithTopLevel(&cfg.Root, func(top int) error {
		find.Top = top
		found, err := find.Run(patterns)
		if found != nil {
			err = errors.Join(err, i.printFound(found, patterns))
		}
		return err
	})
}

// printFound prints what was found, and what gets the first of it back.
func (i *invocation) printFound(found []*roots.Version, patterns []string) error {
	if i.json {
		if err := printJSON(i.stdout, struct {
			Version int              `json:"version"`
			Found   []*roots.Version `json:"found"`
		}{1, found}); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		if !i.json {
			format.Fprintf(i.stdout, "No archived root has %s.\n", showText(strings.Join(patterns, " or ")))
		}
		return errProblems
	}
	if i.json {
		return nil
	}
	hint := ""
	var t table
	t.row("PATH", "ROOT", "SIZE", "CHANGED")
	for _, v := range found {
		name, size := showText(v.Path), formatSize(v.Size)
		if v.Type != "regular file" {
			size = v.Type
		}
		if hint == "" && (v.Type == "regular file" || v.Type == "directory") {
			hint = format.Sprintf("ebb restore --from %d %s", v.Roots[0], shellQuote(v.Path))
		}
		at := format.Sprint(v.Roots[0])
		if n := len(v.Roots) - 1; n > 0 {
			at += format.Sprintf(" and %d older", n)
		}
		t.row(name, at, size, shortTime(v.Modified))
	}
	t.print(i.stdout)
	if hint != "" {
		i.next(hint)
	}
	return nil
}
