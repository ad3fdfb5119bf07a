package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// rollbackCases are the old roots that are moved out of the way: how many files
// they have. Each is measured as it is, and with nested subvolumes in it.
func rollbackCases() []int { return []int{10, 500_000} }

const nestedSubvolumes = 500

const quickFiles = 20_000

func (b *bench) measureRollback(r *report) error {
	disk, err := b.newDisk("rollback", 16<<30)
	if err != nil {
		return err
	}
	defer disk.close()
	warm := &section{
		Title: "Rolling the root back: the file system is mounted elsewhere already",
		Note:  "What the programs themselves cost." + describedNote,
	}
	cold := &section{
		Title: "Rolling the root back: the file system is not mounted",
		Note:  "As in a boot. The first mount and, at the end, the unmount are in the times." + describedNote,
	}
	for _, files := range rollbackCases() {
		if b.options.quick {
			files = min(files, quickFiles)
		}
		if err := b.measureRollbackCase(disk, files, warm, cold); err != nil {
			return err
		}
	}
	r.Sections = append(r.Sections, warm, cold)
	r.judgeRollback(warm, "mounted")
	r.judgeRollback(cold, "not mounted")
	return nil
}

// measureRollbackCase measures with an old root of so many files, which is made
// once, and then with subvolumes in it.
func (b *bench) measureRollbackCase(disk *disk, files int, warm, cold *section) error {
	g := &rollbackGround{bench: b, disk: disk}
	b.progress.step("making an old root of %d files", files)
	if err := disk.format(); err != nil {
		return err
	}
	if err := disk.change(func(top int) error { return g.make(top, files) }); err != nil {
		return err
	}
	if err := g.measure(files, 3, warm, cold); err != nil {
		return err
	}
	if err := disk.change(g.nest); err != nil {
		return err
	}
	return g.measure(files, 1, warm, cold) // scripts are very slow with subvolumes
}

func (g *rollbackGround) measure(files, slowRuns int, warm, cold *section) error {
	label := fmt.Sprintf("%d files, %d subvolumes", files, g.nested)
	for _, s := range []*section{warm, cold} {
		g.mounted = s == warm
		all, err := g.bench.interleave(label, append(g.contenders(g.bench.runs(15), g.bench.fewRuns(slowRuns)), g.bench.starts(g.bench.runs(15))...))
		if err != nil {
			return err
		}
		s.add(label, all)
	}
	return nil
}

// rollbackGround is a file system with an old root that is put back into its
// place before each run.
type rollbackGround struct {
	bench   *bench
	disk    *disk
	nested  int
	old     btrfs.UUID // of the old root
	mounted bool       // while the programs run
	aside   int        // how many fresh roots have been moved aside
}

func (g *rollbackGround) contenders(runs, slowRuns int) []contender[sample] {
	t := &g.bench.tools
	script := func(name, text string, deletes bool) func() (sample, error) {
		return func() (sample, error) {
			path := filepath.Join(g.bench.dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return sample{}, err
			}
			return g.try(deletes, findTool("dash"), path, g.disk.device, "/run/top")
		}
	}
	return []contender[sample]{
		{"ebb rollback", runs, func() (sample, error) {
			config := filepath.Join(g.bench.dir, "config.json")
			if err := os.WriteFile(config, rollbackConfig(g.disk.device), 0o600); err != nil {
				return sample{}, err
			}
			return g.try(false, t.ebb, "rollback", "--root", "/run/sysroot", "--config", config, "--run-dir", "/run/ebb")
		}},
		{floorName, runs, func() (sample, error) { return g.try(false, t.rollback, g.disk.device) }},
		{describedName, runs, func() (sample, error) { return g.try(false, t.rollback, g.disk.device, "described") }},
		{"script: move aside, create", slowRuns, script("move.sh", moveScript, false)},
		{"script: delete, snapshot", slowRuns, script("delete.sh", deleteScript, true)},
	}
}

// describedName is the C program that leaves on the disk what ebb leaves there: an
// archived root that says what it is, durably before it is moved, and is read-only.
const describedName = "C, the old root described"

const describedNote = " The second C program leaves what ebb leaves: an archived root that says what it is, durably before it is moved, and is read-only."

func rollbackConfig(device string) []byte {
	return fmt.Appendf(nil, `{"version": 1, "root": {"kind": "btrfs", "device": %q, "subvolume": "@", "blank": "@blank", "archive": "@roots"}}`+"\n", device)
}

// try makes one run: the old root back in its place, the program, and a look
// at whether it did what it had to. A program that deletes gets a snapshot of
// the old root, with subvolumes of its own in it.
func (g *rollbackGround) try(deletes bool, argv ...string) (s sample, err error) {
	if err := g.disk.change(func(top int) error { return g.reset(top, deletes) }); err != nil {
		return s, err
	}
	if g.mounted {
		if err := g.disk.mount("/", g.disk.dir); err != nil {
			return s, err
		}
	}
	err = inNewNamespace(func() error {
		s, err = g.bench.launch(argv...)
		return err
	})
	if g.mounted {
		if unmountErr := unix.Unmount(g.disk.dir, 0); err == nil {
			err = unmountErr
		}
	}
	if err != nil {
		return s, err
	}
	return s, g.disk.change(func(top int) error { return g.check(top, deletes) })
}

// check looks whether the root is new and empty, and the old one still there.
func (g *rollbackGround) check(top int, deleted bool) error {
	names, err := os.ReadDir(filepath.Join(g.disk.dir, "@"))
	if err != nil {
		return err
	}
	if len(names) != 0 {
		return fmt.Errorf("the new root is not empty: it has %s", names[0].Name())
	}
	if deleted {
		return g.waitUntilFreed()
	}
	path, err := g.oldPath(top)
	if err == nil && !strings.HasPrefix(path, "@roots/") {
		err = fmt.Errorf("the old root is at %q", path)
	}
	return err
}

// waitUntilFreed lets the kernel free what was deleted, so that it does not do
// so in the next run. It begins after a commit.
func (g *rollbackGround) waitUntilFreed() error {
	if err := command("btrfs", "filesystem", "sync", g.disk.dir); err != nil {
		return err
	}
	return command("btrfs", "subvolume", "sync", g.disk.dir)
}

// oldPath returns where the old root is now.
func (g *rollbackGround) oldPath(top int) (string, error) {
	list, err := btrfs.List(top)
	if err != nil {
		return "", err
	}
	for _, s := range list {
		if s.UUID == g.old {
			return list.Path(s.ID)
		}
	}
	return "", fmt.Errorf("the old root %s is gone", g.old)
}
