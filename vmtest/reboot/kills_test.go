package reboot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// How many times the power is cut: all in all, and on one disk before it is
// judged and thrown away.
const (
	cuts     = 40
	cutsLong = 2000
	cutsDisk = 10
	// coldDisks of the disks that were judged are booted twice from cold as well.
	coldDisks     = 2
	coldDisksLong = 20
)

// Environment variables: the seed of another run, and another number of cuts.
const (
	seedEnv = "EBB_SEED"
	cutsEnv = "EBB_CUTS"
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

// greetUnit makes the agent say hello to the host of the restored machine.
const greetUnit = `[Unit]
DefaultDependencies=no
After=gate.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/systemctl kill --signal=HUP vmtest-agent-initrd.service
`

// tokenUnit writes what the host has typed at the gate onto the new root and
// into an entry, and says so when both are safe.
const tokenUnit = `[Unit]
DefaultDependencies=no
After=ebb-mount.service
Before=initrd-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -euc 'read -r t < /run/token; echo "$t" > /sysroot/token; echo "$t" > "/sysroot/srv/data/$t"; sync /sysroot/token "/sysroot/srv/data/$t"; /vmtest/guest mark "safe-$t"; sleep infinity'
`

// killed is a machine that is switched off at random moments.
type killed struct {
	*machine
	saved *vmtest.Saved
	span  time.Duration // from the gate to the end of all that ebb does
	runs  int           // so far, which makes the tokens
	rand  *rand.Rand

	// On the disk that is in use:
	safe  []string // tokens whose run had said that they are safe
	tried []string // all tokens
}

// A real initrd is killed at random moments of the rollback, of bringing the
// entries in, and of the first writes to the new root, over and over on one
// disk, so that recoveries are killed, too. Then it is judged: the root that
// the disk came with is whole in one archived root, and so is every root that
// was written to. What was said to be safe is there.
func TestRandomPowerCuts(t *testing.T) {
	total, cold := cuts, coldDisks
	if testvm.IsLong(t, fmt.Sprintf("%d of %d power cuts", cutsLong-cuts, cutsLong)) {
		total, cold = cutsLong, coldDisksLong
	}
	k := newKilled(t)
	if n := number(t, cutsEnv); n > 0 {
		total = int(n)
	}
	disks := max(1, total/cutsDisk)
	cold = min(cold, disks)
	for disk := range disks {
		k.newDisk()
		for range cutsDisk {
			k.cut()
		}
		k.judge()
		if disk%(disks/cold) == 0 {
			k.bootCold()
		}
		if t.Failed() {
			t.Fatalf("on disk %d", disk)
		}
	}
	t.Logf("%d power cuts within %v, %d disks judged", total, k.span, disks)
}

// newKilled boots a machine to the gate and saves it there.
func newKilled(t *testing.T) *killed {
	layout := planted(standardLayout())
	layout.Bare = true
	for i := range 100 {
		layout.Files = append(layout.Files, files.Text(fmt.Sprintf("@/opt/x/%03d", i), strings.Repeat(fmt.Sprintln(i), 100*i)))
	}
	seed := number(t, seedEnv)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%s=%d repeats the choice of moments", seedEnv, seed)
	k := &killed{
		machine: newMachine(t, layout, standardFstab(), document(standardRoot, basicStores)),
		rand:    rand.New(rand.NewPCG(seed, 0)),
	}
	k.Config.MemoryMB = 512
	plain := k.Config.Initrd
	k.Config.Initrd = slices.Concat(plain,
		vmtest.Unit("gate.service", gateUnit, "initrd.target.wants"),
		vmtest.Unit("greet.service", greetUnit, "initrd.target.wants"),
		vmtest.Unit("token.service", tokenUnit, "initrd-fs.target.requires"))
	k.BootTo(vmtest.Mark("ready"))
	k.saved = k.Saved()
	k.Config.Initrd = plain

	k.newDisk()
	start := time.Now()
	k.run()
	k.WaitFor(vmtest.Mark("safe-" + k.tried[0]))
	k.span = time.Since(start)
	k.Cut()
	return k
}

// number reads an environment variable, 0 when it is not set.
func number(t *testing.T, name string) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func (k *killed) newDisk() {
	k.t.Helper()
	k.NewDisks()
	k.safe, k.tried = nil, nil
}

// run goes on from the gate, with a token of its own.
func (k *killed) run() {
	k.t.Helper()
	k.runs++
	token := fmt.Sprintf("t%d", k.runs)
	k.tried = append(k.tried, token)
	k.Restored(k.saved)
	k.Typed(token + "\n")
}

// cut goes on from the gate and cuts the power, now and then a little late.
func (k *killed) cut() {
	k.t.Helper()
	k.run()
	time.Sleep(time.Duration(k.rand.Int64N(int64(k.span) * 5 / 4)))
	k.Cut()
	token := k.tried[len(k.tried)-1]
	if strings.Contains(k.ConsoleText(), "mark safe-"+token) {
		k.safe = append(k.safe, token)
	}
}

// judge lets a run come to its end and looks at all that is on the disk.
func (k *killed) judge() {
	k.t.Helper()
	k.run()
	last := k.tried[len(k.tried)-1]
	k.WaitFor(vmtest.Mark("safe-" + last))
	k.WaitFor(vmtest.InitrdUp())
	k.safe = append(k.safe, last)
	k.want(last, "cat", "/sysroot/token")
	if r := k.record(); !r.Rollback.Fresh || len(r.Rollback.Problems) > 0 {
		k.t.Errorf("the record says of the rollback: %+v", r.Rollback)
	}
	if status := k.Try("ebb", "status", "--root", "/sysroot"); status.Status != 0 {
		k.t.Errorf("ebb status: %s%s", status.Stdout, status.Stderr)
	}
	k.Run("mkdir", "-p", "/run/top")
	k.Run("mount", "-o", "subvolid=5,ro", realDevice, "/run/top")
	k.judgeArchive()
	for _, token := range k.safe {
		k.want(token, "cat", "/run/top/@persist/srv/data/"+token)
	}
	k.want("data", "cat", "/run/top/@persist/srv/data/file")
	k.Run("umount", "/run/top")
	k.Cut()
}

// judgeArchive looks for every root that ever held something.
func (k *killed) judgeArchive() {
	k.t.Helper()
	if next := k.Try("ls", "/run/top/@roots/.next"); next.Status == 0 {
		k.t.Errorf("a rollback is not finished: %s", next.Stdout)
	}
	// The root that the disk came with, with all of its files.
	first := k.Shell(`cd /run/top/@roots; for r in */root .trash/*/root; do if test -e "$r/marker"; then echo "$r"; fi; done`)
	if strings.Count(first, "\n") != 0 || first == "" {
		k.t.Fatalf("the root that the disk came with is in these places: %q", first)
	}
	k.want("old\ngone\nin", "sh", "-euc", fmt.Sprintf("cd /run/top/@roots/%s; cat marker opt/x/gone nested/file", first))
	for i := range 100 {
		want := strings.TrimSuffix(strings.Repeat(fmt.Sprintln(i), 100*i), "\n")
		if i%33 == 0 {
			k.want(want, "cat", fmt.Sprintf("/run/top/@roots/%s/opt/x/%03d", first, i))
		}
	}
	k.want(fmt.Sprint(101), "sh", "-euc", fmt.Sprintf("set -- /run/top/@roots/%s/opt/x/*; echo $#", first))
	// The others, by their tokens.
	found := strings.Fields(k.Shell(`cd /run/top; for t in @/token @roots/*/root/token @roots/.trash/*/root/token; do if test -s "$t"; then cat "$t"; fi; done`))
	for _, token := range k.safe {
		if n := count(found, token); n != 1 {
			k.t.Errorf("the root with the token %s, which was safe, is there %d times; all: %q", token, n, found)
		}
	}
	for _, token := range found {
		if count(k.tried, token) != 1 || count(found, token) != 1 {
			k.t.Errorf("token %s is there %d times; it was tried %d times", token, count(found, token), count(k.tried, token))
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

// bootCold boots the disk as any machine would, twice.
func (k *killed) bootCold() {
	k.t.Helper()
	k.up(k.Boot)
	k.wantLiveRoot()
	k.wantGone("/token", "/marker")
	k.want("data", "cat", "/srv/data/file")
	k.Shell("echo cold > /marker")
	k.up(k.Reboot)
	k.wantLiveRoot()
	k.wantGone("/marker")
	k.Run("btrfs", "scrub", "start", "-B", "/")
	k.Off()
}
