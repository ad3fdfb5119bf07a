package main

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
	"github.com/ebb-nix/ebb/roots"
)

// archiveCommand is one run of "ebb roots".
type archiveCommand struct {
	*invocation
	host      *initrd.Host
	root      *config.Root
	yes       bool
	damaged   bool
	subvolume string
	size      bool
	dir       string // that is the root
}

// archiveVerb is a verb of "ebb roots": what it needs behind it, and what does
// it.
type archiveVerb struct {
	name        string
	least, most int
	run         func(a *archiveCommand, args []string) error
}

func archiveVerbs() []archiveVerb {
	return []archiveVerb{
		{"list", 0, 0, (*archiveCommand).list},
		{"pin", 1, 2, (*archiveCommand).pin},
		{"unpin", 1, 1, (*archiveCommand).unpin},
		{"delete", 1, -1, (*archiveCommand).delete},
		{"mount", 1, 2, (*archiveCommand).mount},
		{"umount", 1, 1, (*archiveCommand).unmount},
	}
}

// runRoots looks at the archive and works on it. The file system is reached
// through a mount of its own, so it works wherever the device is there: in the
// running system and in any shell.
func runRoots(i *invocation, args []string) error {
	a := &archiveCommand{invocation: i}
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	f.BoolVar(&i.dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&a.yes, "yes", false, "do not ask before a deletion")
	f.BoolVar(&a.damaged, "damaged", false, "delete also a root whose meta.json cannot be read")
	f.BoolVar(&a.size, "size", false, "say how large each is, also where quotas do not know (list)")
	root := f.rootVar()
	f.StringVar(&a.subvolume, "subvolume", "root", "mount the subvolume `NAME` of the archived root")
	rest, err := i.parse(f, args, 0, -1)
	if err != nil {
		return err
	}
	verb, rest, err := findVerb(rest)
	if err != nil {
		return err
	}
	cfg, err := i.config()
	if err != nil {
		return err
	}
	a.dir = *root
	if a.root, err = archiveOf(cfg); err != nil {
		return err
	}
	if a.host, err = i.host("/sysroot"); err != nil {
		return err
	}
	return verb.run(a, rest)
}

func findVerb(args []string) (verb archiveVerb, rest []string, err error) {
	name := "list"
	if len(args) > 0 {
		name, rest = args[0], args[1:]
	}
	var known []string
	for _, v := range archiveVerbs() {
		known = append(known, v.name)
		if v.name != name {
			continue
		}
		if len(rest) < v.least || v.most >= 0 && len(rest) > v.most {
			return v, nil, &usageError{format.Sprintf("%d arguments for %s", len(rest), name)}
		}
		return v, rest, nil
	}
	return verb, nil, &usageError{format.Sprintf("%s is none of %s", kmsg.Quote(name), strings.Join(known, ", "))}
}

// parseNumber reads the number of an archived root, with or without the zeros
// that its directory has.
func parseNumber(text string) (uint64, error) {
	number, err := strconv.ParseUint(text, 10, 63)
	if err != nil || number == 0 {
		return 0, &usageError{format.Sprintf("%s is not the number of an archived root", kmsg.Quote(text))}
	}
	return number, nil
}

// changed is what a verb that changes something has done, or would do.
type changed struct {
	Version   int      `json:"version"`
	Verb      string   `json:"verb"`
	DryRun    bool     `json:"dry_run"`
	Archive   string   `json:"archive"`
	Roots     []uint64 `json:"roots"`
	Directory string   `json:"directory,omitempty"`
}

// change announces what is done to roots, and does it unless this is a dry run.
func (a *archiveCommand) change(c changed, text string, work func() error) error {
	c.Version, c.DryRun, c.Archive = 1, a.dryRun, a.root.Archive
	if !a.dryRun {
		a.log.Log(kmsg.Info, "%s", text)
		if err := work(); err != nil {
			return err
		}
	}
	switch {
	case a.json:
		return printJSON(a.stdout, c)
	case a.dryRun:
		format.Fprintf(a.stdout, "would be %s\n", text)
	case c.Verb == "mount":
		a.next("ebb roots umount " + shellQuote(c.Directory))
	default:
		a.next("ebb roots")
	}
	return nil
}

// changeArchive is change for what is done to the archive itself.
func (a *archiveCommand) changeArchive(c changed, text string, work func(top int) error) error {
	return a.change(c, text, func() error { return a.host.ChangeTopLevel(a.root, work) })
}

func (a *archiveCommand) pin(args []string) error {
	number, err := parseNumber(args[0])
	if err != nil {
		return err
	}
	why := strings.Join(args[1:], " ")
	c := changed{Verb: "pin", Roots: []uint64{number}}
	return a.changeArchive(c, format.Sprintf("pinning root %d", number), func(top int) error {
		return roots.SetPin(top, a.root.Archive, number, why)
	})
}

func (a *archiveCommand) unpin(args []string) error {
	number, err := parseNumber(args[0])
	if err != nil {
		return err
	}
	c := changed{Verb: "unpin", Roots: []uint64{number}}
	return a.changeArchive(c, format.Sprintf("unpinning root %d", number), func(top int) error {
		return roots.RemovePin(top, a.root.Archive, number)
	})
}

// delete deletes the roots that were named, pinned ones not. It asks before:
// there is no way back.
func (a *archiveCommand) delete(args []string) error {
	numbers := make([]uint64, len(args))
	for n, text := range args {
		number, err := parseNumber(text)
		if err != nil {
			return err
		}
		numbers[n] = number
	}
	if !a.dryRun && !a.yes {
		if err := a.ask(format.Sprintf("Delete the archived roots %v for good?", numbers)); err != nil {
			return err
		}
	}
	c := changed{Verb: "delete", Roots: numbers}
	return a.changeArchive(c, format.Sprintf("deleting the roots %v", numbers), func(top int) error { return a.deleteRoots(top, numbers) })
}

func (a *archiveCommand) deleteRoots(top int, numbers []uint64) error {
	list, err := roots.List(top, a.root.Archive)
	if err != nil {
		return err
	}
	remover, err := a.remover(a.root)
	if err != nil {
		return err
	}
	if err := remover.Open(top, a.root.Archive); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &roots.NotThereError{Number: numbers[0]}
		}
		return err
	}
	defer remover.Close()
	for _, number := range numbers {
		for _, r := range list {
			if r.Number == number && r.Pin != nil {
				return format.Errorf("root %d is pinned (%s): ebb roots unpin %d gives it back", number, r.Pin.Why, number)
			}
		}
		if err := remover.Trash(number, a.damaged); err != nil {
			return err
		}
	}
	_, err = remover.EmptyTrash()
	return err
}

// ask wants a yes from a person at a terminal.
func (a *archiveCommand) ask(question string) error {
	if !sys.Stdin.IsTerminal() {
		return &usageError{"nobody is there to confirm it: --yes does it without a question"}
	}
	format.Fprintf(a.stdout, "%s [y/N] ", question)
	answer := make([]byte, 64) // a terminal gives a line at a time
	n, err := sys.Stdin.Read(answer)
	if err != nil || strings.ToLower(strings.TrimSpace(string(answer[:n]))) != "y" {
		return errors.New("nothing was deleted")
	}
	return nil
}

func (a *archiveCommand) mount(args []string) error {
	number, err := parseNumber(args[0])
	if err != nil {
		return err
	}
	dir, own := a.ownDirectory(number), len(args) == 1
	if !own {
		dir = args[1]
	}
	c := changed{Verb: "mount", Roots: []uint64{number}, Directory: dir}
	return a.change(c, format.Sprintf("mounting root %d, read-only, on %s", number, kmsg.Quote(dir)), func() error {
		if own {
			if err := a.makeOwnDirectory(dir); err != nil {
				return err
			}
		}
		err := initrd.MountArchived(a.root, number, a.subvolume, dir)
		if err == nil && own && !a.json {
			format.Fprintln(a.stdout, showText(dir))
		}
		return err
	})
}

// unmount takes a directory, or a number for the directory that mount makes.
func (a *archiveCommand) unmount(args []string) error {
	dir := args[0]
	number, err := parseNumber(dir)
	own := err == nil
	if own {
		dir = a.ownDirectory(number)
	}
	c := changed{Verb: "umount", Roots: []uint64{}, Directory: dir}
	return a.change(c, "unmounting "+kmsg.Quote(dir), func() error {
		if err := initrd.UnmountArchived(a.root, dir); err != nil || !own {
			return err
		}
		return unix.Rmdir(dir)
	})
}

// ownDirectory is where an archived root is mounted when no other place is named.
func (a *archiveCommand) ownDirectory(number uint64) string {
	return path.Join(a.runDir, "roots", archive.DirectoryName(number))
}

// makeOwnDirectory makes it, for root alone: old roots hold everybody's secrets,
// and setuid programs. One that is there is in use, or was mounted on once.
func (a *archiveCommand) makeOwnDirectory(dir string) error {
	for _, d := range []string{a.runDir, path.Dir(dir), dir} {
		mode := uint32(0o700)
		if d == a.runDir {
			mode = 0o755
		}
		if err := sys.EnsureDirectory(d, mode); err != nil {
			return err
		}
	}
	fd, err := sys.OpenDirectory(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := sys.Stat(fd)
	if err == nil && st.IsMountRoot() {
		err = format.Errorf("something is mounted on %s already", dir)
	}
	return err
}
