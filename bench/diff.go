package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
)

// The limits of diff, see docs/performance.md.
const (
	diffLimit        = 1.5 // times the C program
	diffFindLimit    = 0.5 // times find
	diffMemoryLimit  = 300 // bytes for each file
	diffFiles        = 500_000
	diffChangedFiles = 1000 // since the baseline
	findName         = "find -printf"
)

// measureDiff measures what it takes to tell what the next boot will lose: of
// a root that is new as a whole, and of one in which little has changed.
func (b *bench) measureDiff(r *report) error {
	d, err := b.newDisk("diff", 16<<30)
	if err != nil {
		return err
	}
	defer d.close()
	g := &diffGround{bench: b, disk: d, files: diffFiles, runDir: filepath.Join(b.dir, "diff-run"), config: filepath.Join(b.dir, "diff.json")}
	if b.options.quick {
		g.files = quickFiles
	}
	b.progress.step("making a root of %d files", g.files)
	if err := g.make(); err != nil {
		return err
	}
	warm := &section{Title: "Telling what the next boot will lose: the file system is in memory", Note: "The C program goes over the tree of the root once, and counts."}
	cold := &section{Title: "Telling what the next boot will lose: the file system was mounted just now", Note: "Its image may be in memory, what it holds is not."}
	r.Sections = append(r.Sections, warm, cold)
	if err := g.measure(r, warm, cold, "all is new"); err != nil {
		return err
	}
	if err := g.change(); err != nil {
		return err
	}
	return g.measure(r, warm, cold, fmt.Sprintf("%d are new", diffChangedFiles))
}

// diffGround is a root with many files.
type diffGround struct {
	bench  *bench
	disk   *disk
	files  int
	runDir string // with the boot record, and so the baseline
	config string
}

func (g *diffGround) root() string { return filepath.Join(g.disk.dir, "@") }

func (g *diffGround) make() error {
	if err := os.WriteFile(g.config, rollbackConfig(g.disk.device), 0o600); err != nil {
		return err
	}
	if err := g.disk.format(); err != nil {
		return err
	}
	return g.disk.change(func(top int) error {
		if err := btrfs.CreateSubvolume(top, "@"); err != nil {
			return err
		}
		return withDirectory(top, "@", func(root int) error { return makeFiles(root, g.files) })
	})
}

// change sets the baseline, and makes files after it.
func (g *diffGround) change() error {
	return g.disk.change(func(int) error {
		if err := command(g.bench.tools.ebb, "mount", "--finish", "--root", g.root(), "--config", g.config, "--run-dir", g.runDir); err != nil {
			return err
		}
		directory := filepath.Join(g.root(), "home")
		if err := os.Mkdir(directory, 0o755); err != nil {
			return err
		}
		for i := range diffChangedFiles {
			if err := os.WriteFile(filepath.Join(directory, fmt.Sprint(i)), []byte("new\n"), 0o600); err != nil {
				return err
			}
		}
		return nil
	})
}

func (g *diffGround) measure(r *report, warm, cold *section, what string) error {
	label := fmt.Sprintf("%d files, %s", g.files, what)
	for _, s := range []*section{warm, cold} {
		all, err := g.measureState(label, s == warm)
		if err != nil {
			return err
		}
		state := "warm"
		if s == cold {
			state = "cold"
		}
		r.judgeDiff(s.add(label, all), label+", "+state, g.files)
	}
	return nil
}

// measureState measures on a file system that stays mounted, or on one that is
// mounted for each run.
func (g *diffGround) measureState(label string, isWarm bool) (all []series, err error) {
	runs := g.bench.runs(7)
	if !isWarm {
		return g.bench.interleave(label+", cold", g.contenders(runs, func(run func() error) error {
			return g.whileMounted(run)
		}))
	}
	err = g.whileMounted(func() error {
		// The first pass fills the cache.
		if err := command(g.bench.tools.treeSearch, g.root()); err != nil {
			return err
		}
		all, err = g.bench.interleave(label+", warm", g.contenders(runs, func(run func() error) error { return run() }))
		return err
	})
	return all, err
}

func (g *diffGround) contenders(runs int, around func(func() error) error) []contender[sample] {
	t := &g.bench.tools
	try := func(argv ...string) func() (sample, error) {
		return func() (s sample, err error) {
			err = around(func() error {
				return inNewNamespace(func() error {
					s, err = g.bench.launch(argv...)
					return err
				})
			})
			return s, err
		}
	}
	return []contender[sample]{
		{"ebb diff", runs, try(t.ebb, "diff", "--root", g.root(), "--config", g.config, "--run-dir", g.runDir)},
		{floorName, runs, try(t.treeSearch, g.root())},
		{findName, g.bench.fewRuns(3), try(findTool("find"), g.root(), "-xdev", "-printf", `%p %s %T@ %C@\n`)},
	}
}

func (g *diffGround) whileMounted(do func() error) error {
	if err := g.disk.mount("/", g.disk.dir); err != nil {
		return err
	}
	err := do()
	if unmountErr := unix.Unmount(g.disk.dir, 0); err == nil {
		err = unmountErr
	}
	return err
}

func (r *report) judgeDiff(g *group, what string, files int) {
	what = "diff, " + what
	times := g.times("ebb diff")
	floor := summarize(ratios(times, g.times(floorName)))
	r.judge(what, fmt.Sprintf("%.1f x C", diffLimit), fmt.Sprintf("%.2f x C", floor.median), floor.median <= diffLimit)
	find := g.find("ebb diff").median / g.find(findName).median
	r.judge(what, fmt.Sprintf("%.1f x find", diffFindLimit), fmt.Sprintf("%.2f x find", find), find <= diffFindLimit)
	for i := range g.Series {
		if g.Series[i].Name == "ebb diff" {
			bytes := g.Series[i].maxRSS() / int64(files)
			r.judge("memory: "+what, fmt.Sprintf("at most %d bytes a file", diffMemoryLimit), fmt.Sprintf("%d bytes a file", bytes), bytes <= diffMemoryLimit)
		}
	}
}
