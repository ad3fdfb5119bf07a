package main

import (
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/roots"
)

func (a *archiveCommand) list([]string) error {
	var list []roots.Root
	err := initrd.WithTopLevel(a.root, func(top int) (err error) {
		if list, err = roots.List(top, a.root.Archive); err == nil {
			err = roots.Measure(top, list, a.size)
		}
		return err
	})
	if err != nil {
		return err
	}
	generations := a.generations()
	for i := range list {
		if info := list[i].Info; info != nil {
			list[i].Followed = i == 0 && info.Boot.ID == a.host.BootID
			if info.Previous != nil {
				list[i].Generation = generations[info.Previous.System]
			}
		}
	}
	if a.json {
		return printJSON(a.stdout, struct {
			Version int          `json:"version"`
			Archive string       `json:"archive"`
			Roots   []roots.Root `json:"roots"`
		}{1, a.root.Archive, list})
	}
	a.printRoots(list)
	return nil
}

// generations are the numbers of the NixOS systems that are still there, by
// what their profile links to.
func (a *archiveCommand) generations() map[string]uint64 {
	numbers := map[string]uint64{}
	dir, err := sys.OpenDirectory(path.Join(a.dir, "nix/var/nix/profiles"))
	if err != nil {
		return numbers
	}
	defer unix.Close(dir)
	names, _ := archive.Names(dir)
	for _, name := range names {
		middle, isLink := strings.CutSuffix(strings.TrimPrefix(name, "system-"), "-link")
		number, err := strconv.ParseUint(middle, 10, 32)
		if !isLink || err != nil {
			continue
		}
		if system, err := sys.ReadSymlink(dir, name); err == nil {
			numbers[system] = number
		}
	}
	return numbers
}

func (a *archiveCommand) printRoots(list []roots.Root) {
	if len(list) == 0 {
		format.Fprintf(a.stdout, "No root has been archived in %q yet.\n", a.root.Archive)
		return
	}
	var t table
	header := "SIZE"
	if list[0].Exclusive == nil && list[0].Files == nil {
		header = ""
	}
	t.row("NUMBER", "ARCHIVED", "BOOTED", "RAN", "GENERATION", "KERNEL", header, "SUBVOLUMES")
	for i := range list {
		r := &list[i]
		archived, booted, ran, generation, kernel, size := "?", "?", "?", "?", "?", ""
		if r.Info != nil {
			archived = shortTime(r.Info.Archived)
			if p := r.Info.Previous; p != nil {
				booted, kernel = shortTime(p.Time), showText(p.Kernel)
				_, generation, _ = strings.Cut(showText(path.Base(p.System)), "-nixos-system-")
			}
		}
		if r.Generation > 0 {
			generation = format.Sprint(r.Generation)
		}
		if r.RanSeconds > 0 {
			ran = showDuration(r.RanSeconds)
		}
		if r.Exclusive != nil {
			size = formatSize(*r.Exclusive)
		} else if r.Files != nil {
			size = formatSize(*r.Files)
		}
		t.row(format.Sprint(r.Number), archived, booted, ran, generation, kernel, size, describeSubvolumes(r))
	}
	t.print(a.stdout)
	switch {
	case list[0].Exclusive != nil:
		format.Fprintln(a.stdout, "\nSIZE is what no other subvolume has, by the quotas.")
	case list[0].Files != nil:
		format.Fprintln(a.stdout, "\nSIZE is what the files take, also where they share it with others: there are no quotas here.")
	}
	newest := list[0].Number
	if inInitrd() {
		a.next(format.Sprintf("ebb roots mount %d", newest))
	} else {
		a.next(format.Sprintf("ebb diff --from %d", newest))
	}
}

// showDuration writes a time in its two largest units.
func showDuration(seconds uint64) string {
	minutes := seconds / 60
	switch {
	case minutes < 60:
		return format.Sprintf("%d min", minutes)
	case minutes < 24*60:
		return format.Sprintf("%d h %d min", minutes/60, minutes%60)
	}
	return format.Sprintf("%d d %d h", minutes/(24*60), minutes/60%24)
}

func describeSubvolumes(r *roots.Root) string {
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
	if r.Pin != nil {
		text += " (pinned: " + showText(r.Pin.Why) + ")"
	}
	if r.Followed {
		text += " (the present root follows it)"
	}
	return text
}

func shortTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
