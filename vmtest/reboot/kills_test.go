package reboot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// How many times the power is cut: all in all, and on one disk before it is
// judged and thrown away.
const (
	cuts     = 200
	cutsLong = 2000
	// Fewer than the boots in a row that come to nothing behind which ebb still looks
	// for data: else it would say so.
	cutsDisk = 20
	// coldDisks of the disks are booted twice from cold right after a cut, before
	// anything else has recovered them.
	coldDisks     = 2
	coldDisksLong = 20
)

// ground is what a machine stands on that is switched off. The machines run beside
// each other, with one processor each: two that have one get more done than one
// that has two.
type ground struct {
	name   string
	share  int // of all cuts, beside those of the others: on two disks one takes thrice as long
	layout func() vmtest.DiskLayout
	change func(*gated)
	seen   bool // the host can mount it
	long   bool // in the long run alone
}

func grounds() []ground {
	return []ground{
		{name: "one disk", share: 7, layout: gatedLayout, change: func(*gated) {}, seen: true},
		{name: "raid1", share: 3, layout: mirroredLayout, change: mirror, seen: true},
		{name: "LUKS", share: 4, layout: lockedLayout, change: unlock, long: true},
	}
}

// leastShare of the cuts have to fall on either side of the commit that ends a
// rollback, if there are so many that it is no chance.
const (
	leastShare = 0.2
	shareCuts  = 40
)

// logCuts is after how many cuts a machine says that it is still at it.
const logCuts = 100

// Environment variables: the seed of another run, and another number of cuts.
const (
	seedEnv = "EBB_SEED"
	cutsEnv = "EBB_CUTS"
)

// phase is a part of a run, up to that which the next phase begins with.
type phase struct {
	name   string
	from   *regexp.Regexp // a line on the console; nil: the first request to the disk
	weight int            // of all cuts
	took   time.Duration  // without a cut
	cuts   int            // so far
}

// newPhases are the parts of a run. What ebb does is cut most. Its rollback is
// what it asks of the disk: systemd and the start of the process, before that,
// take several times as long.
func newPhases() []phase {
	return []phase{
		{name: "rollback", weight: 6},
		{name: "mounts of systemd", from: rollbackDone, weight: 1},
		{name: "entries", from: regexp.MustCompile(`Starting .*ebb-mount\.service`), weight: 2},
		{name: "writes to the new root", from: regexp.MustCompile(`Finished .*ebb-mount\.service`), weight: 1},
	}
}

var rollbackDone = regexp.MustCompile(`Finished .*ebb-rollback\.service`)

// killed is a machine that is switched off at random moments.
type killed struct {
	*gated
	phases []phase
	rand   *rand.Rand
	looks  bool // at the disk, after each cut
	// Of the cuts, how many were a panic of the kernel, and how many came before the
	// commit that ends a rollback. The archive had so many roots after the last one.
	total, panics, before, archived int
}

// A real initrd is killed at random moments of the rollback, of bringing the
// entries in, and of the first writes to the new root, over and over on one
// disk, so that recoveries are killed, too: half of the times the power is cut, half of
// the times the kernel panics. After each cut there is a root that
// is whole; some disks are then booted twice from cold; of each, at the end, all
// that was ever written is looked for.
func TestRandomPowerCuts(t *testing.T) {
	total, cold, on := cuts, coldDisks, grounds()
	if testenv.IsLong(t, fmt.Sprintf("%d of %d power cuts, and those on LUKS", cutsLong-cuts, cutsLong)) {
		total, cold = cutsLong, coldDisksLong
	} else {
		on = slices.DeleteFunc(on, func(g ground) bool { return g.long })
	}
	if n := number(t, cutsEnv); n > 0 {
		total = int(n)
	}
	testvm.Kit(t) // without machines there is nothing to judge
	shares := 0
	for _, g := range on {
		shares += g.share
	}
	begin, seed := time.Now(), seed(t)
	machines := make([]*killed, len(on))
	t.Run("on", func(t *testing.T) {
		for i := range machines {
			t.Run(on[i].name, func(t *testing.T) {
				testvm.Beside(t)
				machines[i] = newKilled(t, on[i], seed+uint64(i))
				disks := (total*on[i].share-1)/(cutsDisk*shares) + 1
				machines[i].cutDisks(disks, min(disks, cold/len(on)))
			})
		}
	})
	if !t.Failed() {
		judgeMoments(t, machines, time.Since(begin))
	}
}

// cutDisks cuts the power on so many disks.
func (k *killed) cutDisks(disks, cold int) {
	k.t.Helper()
	for disk := range disks {
		k.newDisk()
		k.archived = 0
		for range cutsDisk - 1 {
			k.cutSomewhere(k.choose())
		}
		k.cutSomewhere(&k.phases[0])
		if disk < cold {
			k.bootCold()
		}
		k.judge()
		if k.t.Failed() {
			k.t.Fatalf("on disk %d", disk)
		}
		if k.total%logCuts == 0 {
			k.t.Logf("%d power cuts so far", k.total)
		}
	}
}

// judgeMoments tells when the power was cut, and demands cuts on both sides of
// the commit that ends a rollback.
func judgeMoments(t *testing.T, machines []*killed, took time.Duration) {
	t.Helper()
	total, panics, seen, before := 0, 0, 0, 0
	for _, k := range machines {
		if k == nil { // left out by -run
			continue
		}
		for _, p := range k.phases {
			t.Logf("%4d power cuts in the %v of: %s", p.cuts, p.took, p.name)
		}
		total, panics = total+k.total, panics+k.panics
		if k.looks {
			seen, before = seen+k.total, before+k.before
		}
	}
	t.Logf("%d power cuts, %d of them by a panic, and of the %d where the host looks %d before the commit of the rollback; with all that was looked at, %.1f s for each cut",
		total, panics, seen, before, took.Seconds()/float64(total))
	least := int(leastShare * float64(seen))
	if seen >= shareCuts && (before < least || seen-before < least) {
		t.Errorf("fewer than %d cuts fell before that commit, or fewer than %d after it: this test has shown too little", least, least)
	}
}

// newKilled makes the machine and measures how long its phases take.
func newKilled(t *testing.T, on ground, seed uint64) *killed {
	gated := newGatedOn(t, on.layout(), standardRoot, func(g *gated) {
		g.Config.CPUs = 1
		on.change(g)
		g.Config.Params = []string{vmtest.PanicParam}
	})
	k := &killed{gated: gated, phases: newPhases(), rand: rand.New(rand.NewPCG(seed, 0))}
	k.looks = on.seen && testenv.Has(t, testenv.TierRoot, "a look at the disk after each power cut")
	k.run()
	k.phases[0].took = k.measureRollback()
	start := time.Now()
	for i := range k.phases[1:] {
		k.waitPhase(&k.phases[i+1])
		if i > 0 {
			k.phases[i].took = time.Since(start)
		}
		start = time.Now()
	}
	k.WaitFor(k.isSafe())
	k.phases[len(k.phases)-1].took = time.Since(start)
	k.cut()
	return k
}

// requestPoll is the time between two looks at what the disk was asked for.
const requestPoll = time.Millisecond

// measureRollback returns how long it takes from the first request to the disk
// to the last one of the rollback that changes something.
func (k *killed) measureRollback() time.Duration {
	k.t.Helper()
	k.waitPhase(&k.phases[0])
	start := time.Now()
	var took time.Duration
	for last := k.Requests(); !rollbackDone.MatchString(k.ConsoleText()); time.Sleep(requestPoll) {
		now := k.Requests()
		if now.Writes != last.Writes || now.Flushes != last.Flushes {
			took = time.Since(start)
		}
		last = now
	}
	if took == 0 {
		k.t.Fatal("the rollback has written nothing")
	}
	return took
}

// waitPhase returns when a phase begins. Behind the gate nobody asks the disk
// for anything before ebb does.
func (k *killed) waitPhase(p *phase) {
	k.t.Helper()
	if p.from != nil {
		k.WaitFor(vmtest.Console(p.from.String()))
		return
	}
	for k.Requests().Reads == 0 {
		time.Sleep(requestPoll)
	}
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

// cutSomewhere goes on from the gate and cuts the power in a phase, now and then
// a little late, and looks at what that has left.
func (k *killed) cutSomewhere(p *phase) {
	k.t.Helper()
	k.run()
	k.waitPhase(p)
	time.Sleep(time.Duration(k.rand.Int64N(int64(p.took)*9/8 + 1)))
	if k.rand.IntN(2) == 0 {
		k.Panic()
		k.panics++
	}
	k.cut()
	p.cuts++
	k.total++
	if k.looks {
		k.look()
	}
}

func (k *killed) choose() *phase {
	sum := 0
	for _, p := range k.phases {
		sum += p.weight
	}
	n := k.rand.IntN(sum)
	for i := range k.phases {
		if n -= k.phases[i].weight; n < 0 {
			return &k.phases[i]
		}
	}
	panic("the weights are more than their sum")
}

// lookScript prints what the live root is, and whether a rollback is under way. A
// fresh one may have the files of entries already, if a commit came behind them.
// The mount is in a namespace of its own. That the kernel forgets the disks is for
// those that come after them, which are older and have the same uuid.
const lookScript = `cd "$1"; dir=$PWD; shift; mkdir -p top; loops= options=ro,subvolid=5,rescue=nologreplay
trap 'cd "$dir"; umount -q top || true; for loop in $loops; do btrfs device scan --forget "$loop" >/dev/null || true; losetup --detach "$loop"; done' EXIT
for disk; do loop=$(losetup --find --show --read-only "$disk"); loops="$loops $loop"; options=$options,device=$loop; done
mount -t btrfs -o $options "$loop" top; cd top
test "$(stat -c %i @)" = 256
if test -e @/marker; then set -- @/opt/x/*; echo "old $(cat @/marker @/nested/file) $#"
elif test -s @/token; then cat @/token
else set -- $(find @ -type f ! -path @/etc/adjtime ! -path @/etc/machine-id); echo "fresh $#"; fi
set -- @roots/*/root; test -e "$1" || shift; echo $#
`

// look judges the disk from the host, as the last commit has left it: there is
// a root, either wholly an old one or wholly a new one.
func (k *killed) look() {
	k.t.Helper()
	// One after another: of two file systems with the same uuid the kernel mounts one.
	out, err := exec.Command("flock", append([]string{os.TempDir(), "unshare", "--mount", "sh", "-euc", lookScript, "sh", k.t.TempDir()}, k.Overlays()...)...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("look at the disk: %v\n%s", err, out)
	}
	text := strings.TrimSpace(string(out))
	at := strings.LastIndexByte(text, '\n')
	live := text[:at]
	if live != fmt.Sprintf("old old\nin %d", manyFiles+1) && live != "fresh 0" && count(k.tried, live) != 1 {
		k.t.Fatalf("after a cut the root is %q", live)
	}
	archived, err := strconv.Atoi(text[at+1:])
	if err != nil {
		k.t.Fatal(err)
	}
	if archived == k.archived {
		k.before++
	}
	k.archived = archived
}

// bootCold boots the disk as any machine would, twice, with no run from the gate
// between that and the last cut.
func (k *killed) bootCold() {
	k.t.Helper()
	k.up(k.Boot)
	k.wantLiveRoot()
	k.wantGone("/token", "/marker")
	k.want("data", "cat", "/srv/data/file")
	k.Shell("echo cold > /cold")
	k.up(k.Reboot)
	k.wantLiveRoot()
	k.wantGone("/cold")
	k.Run("btrfs", "scrub", "start", "-B", "/")
	k.Off()
}

// mirroredLayout has a size of its own, and with that an image with another uuid
// than that of the other disks, which the host may have mounted at the same time.
func mirroredLayout() vmtest.DiskLayout {
	layout := gatedLayout()
	layout.Size = 640 << 20
	return layout
}

// mirror boots a machine once, with its root as it is, and lets it make its file
// system a raid1 of two disks, which are those that it begins with from now on.
func mirror(g *gated) {
	g.t.Helper()
	second := vmtest.DiskLayout{Label: "spare", Kind: vmtest.Ext4, Bare: true, Size: 640 << 20}
	g.Config.Disks = append(g.Config.Disks, testvm.Disk(g.t, testvm.Kit(g.t), second))
	g.Config.Params = []string{"ebb.rollback=no", "ebb.mount=no"}
	g.Boot()
	g.Run("wipefs", "--all", "/dev/vdb") // btrfs-progs 7.1 leaves the mark of ext4, and udev then takes it for neither
	g.Run("btrfs", "device", "add", "--force", "/dev/vdb", "/")
	g.Run("btrfs", "balance", "start", "-dconvert=raid1", "-mconvert=raid1", "/")
	g.Off()
	for i, disk := range g.Overlays() {
		if err := os.Rename(disk, disk+".base"); err != nil {
			g.t.Fatal(err)
		}
		g.Config.Disks[i] = disk + ".base"
	}
}

// lockedLayout lies in a LUKS2 device, which unlock has the initrd open by a key.
func lockedLayout() vmtest.DiskLayout {
	layout := gatedLayout()
	layout.Passphrase = passphrase
	return layout
}

func unlock(g *gated) {
	g.Config.Crypttab = []string{"cryptroot /dev/vda /etc/luks.key luks"}
	g.Config.Initrd = append(g.Config.Initrd, keyFile())
}
