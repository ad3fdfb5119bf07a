package reboot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
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
	// Behind more boots in a row that come to nothing ebb would not look for data, and
	// would say so.
	cutsDisk = 20
	// coldDisks of the disks are booted twice from cold right after a cut, before
	// anything else has recovered them.
	coldDisks     = 2
	coldDisksLong = 20
)

// cutMachines run beside each other, with one processor each: two that have one
// get more done than one that has two.
const cutMachines = 2

// leastShare of the cuts have to fall on either side of the commit that ends a
// rollback, if there are so many that it is no chance.
const (
	leastShare = 0.2
	shareCuts  = 40
)

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
	// Of the cuts, how many came before the commit that ends a rollback. The
	// archive had so many roots after the last one.
	total, before, archived int
}

// A real initrd is killed at random moments of the rollback, of bringing the
// entries in, and of the first writes to the new root, over and over on one
// disk, so that recoveries are killed, too. After each cut there is a root that
// is whole; some disks are then booted twice from cold; of each, at the end, all
// that was ever written is looked for.
func TestRandomPowerCuts(t *testing.T) {
	total, cold := cuts, coldDisks
	if testenv.IsLong(t, fmt.Sprintf("%d of %d power cuts", cutsLong-cuts, cutsLong)) {
		total, cold = cutsLong, coldDisksLong
	}
	if n := number(t, cutsEnv); n > 0 {
		total = int(n)
	}
	testvm.Kit(t) // without machines there is nothing to judge
	disks := max(1, total/cutsDisk/cutMachines)
	begin, seed := time.Now(), seed(t)
	machines := make([]*killed, cutMachines)
	t.Run("machine", func(t *testing.T) {
		for i := range machines {
			t.Run(fmt.Sprint(i+1), func(t *testing.T) {
				testvm.Beside(t)
				machines[i] = newKilled(t, seed+uint64(i))
				machines[i].cutDisks(disks, min(disks, cold/cutMachines))
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
	}
}

// judgeMoments tells when the power was cut, and demands cuts on both sides of
// the commit that ends a rollback.
func judgeMoments(t *testing.T, machines []*killed, took time.Duration) {
	t.Helper()
	total, before := 0, 0
	for _, k := range machines {
		for _, p := range k.phases {
			t.Logf("%4d power cuts in the %v of: %s", p.cuts, p.took, p.name)
		}
		total, before = total+k.total, before+k.before
	}
	t.Logf("%d power cuts, %d before the commit of the rollback; with all that was looked at, %.1f s for each cut",
		total, before, took.Seconds()/float64(total))
	least := int(leastShare * float64(total))
	if machines[0].looks && total >= shareCuts && (before < least || total-before < least) {
		t.Errorf("fewer than %d cuts fell before that commit, or fewer than %d after it: this test has shown too little", least, least)
	}
}

// newKilled makes the machine and measures how long its phases take.
func newKilled(t *testing.T, seed uint64) *killed {
	k := &killed{gated: newGatedOn(t, standardRoot, 1), phases: newPhases(), rand: rand.New(rand.NewPCG(seed, 0))}
	k.looks = testenv.Has(t, testenv.TierRoot, "a look at the disk after each power cut")
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

// lookScript prints what the live root is, and whether a rollback is under way.
// The mount is in a namespace of its own, which takes it along.
const lookScript = `cd "$1"; mkdir -p top; mount -t btrfs -o ro,loop,subvolid=5,rescue=nologreplay "$2" top; cd top
test "$(stat -c %i @)" = 256
if test -e @/marker; then set -- @/opt/x/*; echo "old $(cat @/marker @/nested/file) $#"
elif test -s @/token; then cat @/token
else set -- $(find @ -type f); echo "fresh $#"; fi
set -- @roots/*/root; test -e "$1" || shift; echo $#
`

// look judges the disk from the host, as the last commit has left it: there is
// a root, either wholly an old one or wholly a new one.
func (k *killed) look() {
	k.t.Helper()
	out, err := exec.Command("unshare", "--mount", "sh", "-euc", lookScript, "sh", k.t.TempDir(), k.Overlays()[0]).CombinedOutput()
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
