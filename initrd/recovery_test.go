package initrd

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// cut carries out the first count steps of a rollback and stops there, as a
// power cut after an orderly flush would. It reports whether there were more.
func (b *bench) cut(count int) (more bool) {
	b.t.Helper()
	b.boot++
	top, err := openTopLevel(&b.cfg.Root)
	if err != nil {
		b.t.Fatal(err)
	}
	defer unix.Close(top)
	facts, err := readFacts(top, &b.cfg.Root, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	x := newExecutor(&b.cfg.Root, (&Host{BootID: fmt.Sprintf("cut-%d", b.boot)}).boot(), top)
	defer x.close()
	if _, err := x.openArchive(); err != nil {
		b.t.Fatal(err)
	}
	x.facts = facts
	plan := Plan(facts)
	x.members = plan.Members
	for _, s := range plan.Steps[:min(count, len(plan.Steps))] {
		if err := x.do(&s); err != nil {
			b.t.Fatalf("%s: %v", s.Text(&b.cfg.Root), err)
		}
	}
	return count < len(plan.Steps)
}

// generation marks the live subvolumes, so that each can be found again.
func (b *bench) mark(generation string) {
	b.t.Helper()
	for _, path := range []string{"@", "@home"} {
		if err := os.WriteFile(b.Path(path, "mark-"+generation), []byte(path), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// wantOnce demands that the marked subvolumes are in exactly one archived root,
// or are live where live is allowed.
func (b *bench) wantOnce(generation string) {
	b.t.Helper()
	for name, path := range map[string]string{"root": "@", "home": "@home"} {
		found, err := filepath.Glob(b.Path("@roots/[0-9]*", name, "mark-"+generation))
		if err != nil {
			b.t.Fatal(err)
		}
		if len(found) != 1 {
			b.t.Errorf("mark %s of %s is in %q", generation, path, found)
		}
		b.wantGone(path + "/mark-" + generation)
	}
}

func (b *bench) wantTidy() {
	b.t.Helper()
	b.wantGone("@roots/.next")
	for _, path := range []string{"@", "@home"} {
		if entries, err := os.ReadDir(b.Path(path)); err != nil || len(entries) != 0 {
			b.t.Errorf("%s is not fresh: %v, %v", path, entries, err)
		}
	}
}

const twoMembers = `, "also": [{"name": "home", "subvolume": "@home", "blank": "@blank"}]`

// After a cut behind any step the next rollback finds its way, and so it does
// when the run that recovers is cut behind any of its steps, too.
func TestRecoveryAfterEachStep(t *testing.T) {
	testenv.Need(t, testenv.TierBtrfs)
	for first, more := 0, true; more; first++ {
		t.Run(fmt.Sprintf("cut behind step %d", first), func(t *testing.T) {
			for second, moreOfSecond := 0, true; moreOfSecond; second++ {
				b := newBench(t, twoMembers, "subvolume @", "subvolume @home", "subvolume @blank")
				b.mark("old")
				more = b.cut(first)
				moreOfSecond = b.cut(second)
				b.rollback("")
				b.wantOnce("old")
				b.wantTidy()
				b.mark("new")
				b.rollback("")
				b.wantOnce("old")
				b.wantOnce("new")
				b.wantTidy()
				b.Unmount()
			}
		})
	}
}

// A staging directory whose meta.json cannot be read may hold an old root: it
// is kept.
func TestRecoveryKeepsWhatItDoesNotKnow(t *testing.T) {
	for name, spoil := range map[string]func(b *bench){
		"damaged meta.json": func(b *bench) {
			testenv.Tree(b.t, b.Dir, "dir @roots 0700 0:0", "dir @roots/.next 0700 0:0", "file @roots/.next/meta.json 0600 0:0 {broken",
				"subvolume @roots/.next/root", "file @roots/.next/root/precious 0644 0:0 data")
		},
		"subvolume of another uuid": func(b *bench) {
			testenv.Tree(b.t, b.Dir, "dir @roots 0700 0:0", "dir @roots/.next 0700 0:0",
				`file @roots/.next/meta.json 0600 0:0 {"version":1,"sequence":9,"subvolumes":[{"name":"root","path":"@","fresh_uuid":"11111111-2222-3333-4444-555555555555"}]}`,
				"subvolume @roots/.next/root", "file @roots/.next/root/precious 0644 0:0 data")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "", "subvolume @", "subvolume @blank")
			spoil(b)
			record := b.rollback("")
			found, err := filepath.Glob(b.Path("@roots/[0-9]*/root/precious"))
			if err != nil || len(found) != 1 {
				t.Errorf("the data is in %q, %v", found, err)
			}
			if len(record.Recovered) == 0 {
				t.Error("the record does not tell of it")
			}
			b.wantGone("@roots/.next")
		})
	}
}

// What was staged and never used is moved to the trash, not deleted.
func TestRecoveryDropsToTheTrash(t *testing.T) {
	b := newBench(t, twoMembers, "subvolume @", "subvolume @home", "subvolume @blank")
	b.cut(3) // archive made, staged, one snapshot
	b.rollback("")
	if !b.exists("@roots/.trash/000001/root") {
		t.Error("the staged root is not in the trash")
	}
	if !b.exists("@roots/000002/root") {
		t.Error("the old root did not get the next number")
	}
}
