package main

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/mounts"
	"github.com/ebb-nix/ebb/roots"
)

func runRestore(i *invocation, args []string) error {
	r := &roots.Restore{}
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "say what would be restored and from where, change nothing")
	f.Uint64Var(&r.From, "from", 0, "take it from archived root `N` rather than from the newest that has it")
	f.BoolVar(&r.Force, "force", false, "move what is in the way to a backup name")
	f.BoolVar(&r.SetID, "set-id", false, "keep set-user-ID and set-group-ID bits and file capabilities")
	root := f.String("root", "/", "`DIR` that is the root")
	to := f.String("to", "", "put it into `DIR` rather than in its place")
	intoStore := f.Bool("into-store", false, "put it into the store of the entry that covers it, or the first store")
	paths, err := i.parse(f, args, 1, -1)
	if err != nil {
		return err
	}
	if *to != "" && *intoStore {
		return &usageError{"--to and --into-store exclude each other"}
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	if _, err := archiveOf(cfg); err != nil {
		return err
	}
	host, err := i.host("/sysroot")
	if err != nil {
		return err
	}
	r.Archive, r.DryRun, r.Flat, r.Progress = cfg.Root.Archive, i.dryRun, *to != "", progress()
	if r.Members, err = memberMounts(&cfg.Root, *root); err != nil {
		return err
	}
	target := func(p string) string {
		switch {
		case *to != "":
			return *to
		case *intoStore:
			return path.Join(*root, storeOf(cfg, p))
		}
		return *root
	}
	if i.dryRun {
		return initrd.WithTopLevel(&cfg.Root, func(top int) error { return i.restore(r, top, paths, target) })
	}
	return host.ChangeTopLevel(&cfg.Root, func(top int) error { return i.restore(r, top, paths, target) })
}

// memberMounts finds out where in the root each archived subvolume belongs: an
// ephemeral home is where its successor is mounted now.
func memberMounts(root *config.Root, dir string) ([]roots.Member, error) {
	table, err := mounts.ReadMountInfo()
	if err != nil {
		return nil, err
	}
	var members []roots.Member
	for _, also := range root.Also {
		for _, m := range table {
			where, inside := strings.CutPrefix(m.MountPoint, strings.TrimSuffix(dir, "/")+"/")
			if inside && m.Type == "btrfs" && m.Root == "/"+also.Subvolume {
				members = append(members, roots.Member{Name: also.Name, Mount: "/" + where})
			}
		}
	}
	return append(members, roots.Member{Name: archive.Root, Mount: "/"}), nil
}

// storeOf is the store of the entry that covers a path, else the first.
func storeOf(cfg *config.Config, p string) string {
	for _, s := range cfg.Stores {
		for _, e := range s.Entries {
			if p == e.Path || strings.HasPrefix(p, e.Path+"/") {
				return s.Path
			}
		}
	}
	if len(cfg.Stores) == 0 {
		return "/"
	}
	return cfg.Stores[0].Path
}

// restore restores each path. What fails keeps none of the others back.
func (i *invocation) restore(r *roots.Restore, top int, paths []string, target func(string) string) error {
	results := []*roots.Restored{}
	var failed []error
	r.Top = top
	for _, p := range paths {
		dir := target(p)
		fd, err := sys.OpenDirectory(dir)
		if err == nil {
			r.Target = fd
			var result *roots.Restored
			result, err = r.Path(path.Clean(p))
			clearProgress()
			if err == nil {
				results = append(results, result)
				i.printRestored(result, dir)
			}
			unix.Close(fd)
		}
		failed = append(failed, err)
	}
	if i.json {
		failed = append(failed, printJSON(i.stdout, struct {
			Version  int               `json:"version"`
			Restored []*roots.Restored `json:"restored"`
		}{1, results}))
	} else if len(results) > 0 && !i.dryRun && !r.Flat && !inInitrd() {
		i.next("ebb why " + shellQuote(results[0].Path))
	}
	return errors.Join(failed...)
}

func (i *invocation) printRestored(r *roots.Restored, dir string) {
	if i.json {
		return
	}
	verb := "restored"
	if i.dryRun {
		verb = "would be restored"
	}
	line := format.Sprintf("%s %s from root %d", path.Join(dir, r.Target), verb, r.From)
	if r.Size != nil {
		line += ": " + formatSum(r.Size.Files, r.Size.Bytes)
	} else {
		line += format.Sprintf(": %d files, %s shared, %s copied", r.Stats.Files, formatSize(r.Stats.Shared), formatSize(r.Stats.Copied))
	}
	if r.Backup != "" {
		line += "; what was there is " + path.Join(dir, r.Backup)
	}
	if r.Stats.Skipped > 0 {
		line += format.Sprintf("; %d sockets or devices left out", r.Stats.Skipped)
	}
	format.Fprintln(i.stdout, kmsg.Quote(line))
}
