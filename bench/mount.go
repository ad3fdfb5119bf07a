package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// mountCases are the numbers of entries that are brought into place, and how
// often: those that are not shown for comparison alone.
func mountCases() []mountCase {
	return []mountCase{{100, 31, 3}, {1000, 15, 3}, {5000, 7, 1}}
}

type mountCase struct{ entries, runs, slowRuns int }

const quickEntries = 1000

func (b *bench) measureMount(r *report) error {
	ground, err := b.newMountGround()
	if err != nil {
		return err
	}
	defer ground.disk.close()
	for _, firstBoot := range []bool{false, true} {
		s := &section{
			Title: "Bringing entries into place: every source exists, no target does",
			Note:  "Directories, bind mounted from a store into a fresh btrfs subvolume.",
		}
		if firstBoot {
			s.Title = "Bringing entries into place on a first boot: neither sources nor targets exist"
		}
		r.Sections = append(r.Sections, s)
		for _, c := range mountCases() {
			if b.options.quick && c.entries > quickEntries {
				continue
			}
			ground.entries, ground.firstBoot = c.entries, firstBoot
			if firstBoot && c.slowRuns == 1 {
				c.slowRuns = 0 // too slow to be shown twice
			}
			all, err := b.interleave(fmt.Sprintf("%d entries", c.entries), append(ground.contenders(b.runs(c.runs), b.fewRuns(c.slowRuns)), b.starts(b.runs(c.runs))...))
			if err != nil {
				return err
			}
			g := s.add(fmt.Sprintf("%d", c.entries), all)
			r.judgeMount(g, firstBoot)
		}
		r.judgeLinear(s, firstBoot)
	}
	return nil
}

// mountGround is what the programs work on: a root and a store in it, the
// subvolumes @ and @persist of a file system that is new for each run.
type mountGround struct {
	bench     *bench
	disk      *disk
	root      string
	store     string
	entries   int
	firstBoot bool
}

func (b *bench) newMountGround() (*mountGround, error) {
	disk, err := b.newDisk("entries", 8<<30)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(b.dir, "root")
	g := &mountGround{bench: b, disk: disk, root: root, store: filepath.Join(root, storeName)}
	return g, os.Mkdir(root, 0o755)
}

const storeName = "persist"

func entryName(i int) string { return fmt.Sprintf("d%d", i) }

func (g *mountGround) contenders(runs, slowRuns int) []contender[sample] {
	t := &g.bench.tools
	count := fmt.Sprint(g.entries)
	floor := []string{t.mount, g.root, g.store, count}
	if g.firstBoot {
		floor = append(floor, "new")
	}
	return []contender[sample]{
		{"ebb mount", runs, func() (sample, error) {
			config := filepath.Join(g.bench.dir, "config.json")
			if err := os.WriteFile(config, mountConfig(g.entries), 0o600); err != nil {
				return sample{}, err
			}
			return g.try(t.ebb, "mount", "--root", g.root, "--config", config, "--run-dir", "/run/ebb")
		}},
		{floorName, runs, func() (sample, error) { return g.try(floor...) }},
		{"shell script", slowRuns, func() (sample, error) { return g.tryScript("entries.sh", shellScript) }},
		{"systemd-tmpfiles + mount(8)", slowRuns, func() (sample, error) { return g.tryScript("tmpfiles.sh", tmpfilesScript) }},
	}
}

// floorName is the contender that the others are compared with.
const floorName = "C, system calls alone"

func (g *mountGround) tryScript(name, script string) (sample, error) {
	path := filepath.Join(g.bench.dir, name)
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return sample{}, err
	}
	rules := filepath.Join(g.bench.dir, "rules.conf")
	if err := os.WriteFile(rules, tmpfilesRules(g.root, g.entries), 0o600); err != nil {
		return sample{}, err
	}
	return g.try(findTool("dash"), path, g.root, g.store, fmt.Sprint(g.entries), rules)
}

// try makes one run: a new file system, a new namespace, the program, and a
// look at whether it did what it had to.
func (g *mountGround) try(argv ...string) (s sample, err error) {
	if err := g.disk.format(); err != nil {
		return s, err
	}
	if err := g.disk.change(g.prepare); err != nil {
		return s, err
	}
	err = inNewNamespace(func() error {
		if err := g.mount(); err != nil {
			return err
		}
		// The end of the namespace would do it, too, but after this returns.
		defer unix.Unmount(g.root, unix.MNT_DETACH)
		if s, err = g.bench.launch(argv...); err != nil {
			return err
		}
		return g.check()
	})
	return s, err
}

// prepare makes the subvolumes, and in the store the sources.
func (g *mountGround) prepare(top int) error {
	for _, name := range []string{"@", "@persist"} {
		if err := btrfs.CreateSubvolume(top, name); err != nil {
			return err
		}
	}
	if err := unix.Mkdirat(top, "@/"+storeName, 0o755); err != nil {
		return err
	}
	for i := range g.entries {
		if g.firstBoot {
			break
		}
		if err := unix.Mkdirat(top, "@persist/"+entryName(i), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (g *mountGround) mount() error {
	if err := g.disk.mount("@", g.root); err != nil {
		return err
	}
	return g.disk.mount("@persist", g.store)
}

// check counts the mounts below the root.
func (g *mountGround) check() error {
	table, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	if got := bytes.Count(table, []byte(" "+g.root+"/d")); got != g.entries {
		return fmt.Errorf("%d of %d entries are in place", got, g.entries)
	}
	return nil
}

// mountConfig is the config of so many entries.
func mountConfig(entries int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"version": 1, "root": {"kind": "none"}, "stores": {"/` + storeName + `": {"directories": [`)
	for i := range entries {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `{"path": "/%s"}`, entryName(i))
	}
	b.WriteString("]}}}\n")
	return b.Bytes()
}

// tmpfilesRules make the sources and the targets.
func tmpfilesRules(root string, entries int) []byte {
	var b strings.Builder
	for i := range entries {
		name := entryName(i)
		fmt.Fprintf(&b, "d %s/%s/%s 0755 root root -\nd %s/%s 0755 root root -\n", root, storeName, name, root, name)
	}
	return []byte(b.String())
}
