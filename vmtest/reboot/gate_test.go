package reboot

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// gateUnit holds the boot up before ebb looks at the disk.
const gateUnit = `[Unit]
DefaultDependencies=no
Requires=dev-disk-by\x2dlabel-nixos.device
After=dev-disk-by\x2dlabel-nixos.device local-fs-pre.target
Before=ebb-rollback.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/vmtest/guest gate ready /run/token
`

// tokenUnit writes what the host has typed at the gate onto the new root and
// into an entry, and says so when both are safe. The boot goes no further.
const tokenUnit = `[Unit]
DefaultDependencies=no
After=ebb-mount.service
Before=initrd-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/vmtest/guest save /run/token /sysroot/token /sysroot/srv/data
`

// gated is a machine that was saved in the middle of its initrd, before
// anything has looked at its disk: a boot from there takes a second or two.
// Each of them, a run, has a token of its own.
type gated struct {
	*machine
	saved *vmtest.Saved
	runs  int // so far, which makes the tokens

	// On the disk that is in use:
	safe  []string // tokens whose run had said that they are safe
	tried []string // all tokens
}

// manyFiles is how many files the root has that the disk of a gated machine
// comes with, besides those of planted.
const manyFiles = 100

// gatedLayout is the disk of such a machine.
func gatedLayout() vmtest.DiskLayout {
	layout := planted(standardLayout())
	layout.Bare, layout.Size = true, 512<<20
	for i := range manyFiles {
		layout.Files = append(layout.Files, files.Text(fmt.Sprintf("@/opt/x/%03d", i), fileText(i)))
	}
	return layout
}

// newGated boots a machine to the gate and saves it there. Root is the member
// of its config.
func newGated(t *testing.T, root string) *gated {
	t.Helper()
	return newGatedOn(t, gatedLayout(), root, func(*gated) {})
}

// newGatedOn is newGated on another disk, with what is to be changed of the machine.
func newGatedOn(t *testing.T, layout vmtest.DiskLayout, root string, change func(*gated)) *gated {
	t.Helper()
	g := &gated{machine: newMachine(t, layout, standardFstab(), document(root, basicStores))}
	g.Config.MemoryMB, g.Config.RawDisks = 512, true
	change(g)
	plain := g.Config.Initrd
	g.Config.Initrd = slices.Concat(plain,
		vmtest.Unit("gate.service", gateUnit, "initrd.target.wants"),
		vmtest.Unit("token.service", tokenUnit, "initrd-fs.target.requires"))
	g.BootTo(vmtest.Mark("ready"))
	g.WaitFor(vmtest.InitrdUp())
	g.saved = g.Saved()
	g.Config.Initrd = plain
	g.newDisk()
	return g
}

func fileText(i int) string { return strings.Repeat(fmt.Sprintln(i), 100*i) }

func (g *gated) newDisk() {
	g.t.Helper()
	g.NewDisks()
	g.safe, g.tried = nil, nil
}

// run goes on from the gate, with a token of its own.
func (g *gated) run() {
	g.t.Helper()
	g.runAfter("")
}

// runAfter runs a script at the gate and goes on from there.
func (g *gated) runAfter(script string) {
	g.t.Helper()
	g.runs++
	g.tried = append(g.tried, fmt.Sprintf("t%d", g.runs))
	g.Restored(g.saved)
	if script != "" {
		g.Shell(script)
	}
	g.Typed(g.token() + "\n")
}

// token is that of the last run, safe the event of its being safe.
func (g *gated) token() string        { return g.tried[len(g.tried)-1] }
func (g *gated) isSafe() vmtest.Event { return vmtest.Mark("safe-" + g.token()) }

// cut cuts the power and remembers whether the token was safe.
func (g *gated) cut() {
	g.t.Helper()
	g.Cut()
	if strings.Contains(g.ConsoleText(), "mark safe-"+g.token()) {
		g.safe = append(g.safe, g.token())
	}
}

// judge lets a run come to its end and looks at all that is on the disk: the
// root that the disk came with is whole in one archived root, and so is every
// root that was written to. What was said to be safe is there.
func (g *gated) judge() {
	g.t.Helper()
	g.run()
	g.WaitFor(g.isSafe())
	g.safe = append(g.safe, g.token())
	if r := g.record(); !r.Rollback.Fresh || len(r.Rollback.Problems) > 0 {
		g.t.Errorf("the record says of the rollback: %+v", r.Rollback)
	}
	if status := g.Try("ebb", "status", "--root", "/sysroot"); status.Status != 0 {
		g.t.Errorf("ebb status: %s%s", status.Stdout, status.Stderr)
	}
	g.judgeFirst()
	g.judgeTokens()
	g.Cut()
}

// judgeFirst looks for the root that the disk came with, with all of its files.
func (g *gated) judgeFirst() {
	g.t.Helper()
	var want strings.Builder
	for i := range manyFiles {
		want.WriteString(fileText(i))
	}
	want.WriteString("old\ngone\nin\ndata\n101\n")
	got := g.Shell(`mkdir -p /run/top
mount -o subvolid=5,ro ` + realDevice + ` /run/top
cd /run/top/@roots
if test -e .next; then echo a rollback is not finished; fi
for marker in */root/marker .trash/*/root/marker; do
	if test -e "$marker"; then
		cd "/run/top/@roots/${marker%/marker}"
		cat opt/x/??? marker opt/x/gone nested/file /run/top/@persist/srv/data/file
		set -- opt/x/*; echo $#
		cd /run/top/@roots
	fi
done`)
	if got += "\n"; got != want.String() {
		g.t.Errorf("of the root that the disk came with, which has to be there once, there are %d bytes and not %d, the last of them %q",
			len(got), want.Len(), got[max(0, len(got)-200):])
	}
}

// judgeTokens looks for the roots that were written to, and what was written
// into the entry.
func (g *gated) judgeTokens() {
	g.t.Helper()
	found := strings.Fields(g.Shell(`cd /run/top
for t in @/token @roots/*/root/token @roots/.trash/*/root/token; do if test -s "$t"; then cat "$t"; fi; done
echo :; cd @persist/srv/data; for t in t*; do if test "$t" = "$(cat "$t")"; then echo "$t"; fi; done; cd /; umount /run/top`))
	at := slices.Index(found, ":")
	roots, data := found[:at], found[at+1:]
	for _, token := range g.safe {
		if count(roots, token) != 1 || count(data, token) != 1 {
			g.t.Errorf("token %s, which was safe, is in %d roots and in %d files of the entry; all: %q", token, count(roots, token), count(data, token), found)
		}
	}
	for _, token := range roots {
		if count(g.tried, token) != 1 || count(roots, token) != 1 {
			g.t.Errorf("token %s is there %d times; it was tried %d times", token, count(roots, token), count(g.tried, token))
		}
	}
}

func count(list []string, word string) int {
	n := 0
	for _, item := range list {
		if item == word {
			n++
		}
	}
	return n
}
