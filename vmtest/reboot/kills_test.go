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
)

// How many times the power is cut: all in all, and on one disk before it is
// judged and thrown away.
const (
	cuts     = 200
	cutsLong = 2000
	cutsDisk = 20
	// coldDisks of the disks that were judged are booted twice from cold as well.
	coldDisks     = 1
	coldDisksLong = 20
)

// Environment variables: the seed of another run, and another number of cuts.
const (
	seedEnv = "EBB_SEED"
	cutsEnv = "EBB_CUTS"
)

// phase is a part of a run, from one line on the console to that which the next
// phase begins with.
type phase struct {
	name   string
	from   *regexp.Regexp
	weight int           // of all cuts
	took   time.Duration // without a cut
	cuts   int           // so far
}

// newPhases are the parts of a run. What ebb does is cut most.
func newPhases() []phase {
	return []phase{
		{name: "rollback", from: regexp.MustCompile(`Starting .*ebb-rollback\.service`), weight: 6},
		{name: "mounts of systemd", from: regexp.MustCompile(`Finished .*ebb-rollback\.service`), weight: 1},
		{name: "entries", from: regexp.MustCompile(`Starting .*ebb-mount\.service`), weight: 2},
		{name: "writes to the new root", from: regexp.MustCompile(`Finished .*ebb-mount\.service`), weight: 1},
	}
}

// killed is a machine that is switched off at random moments.
type killed struct {
	*gated
	phases []phase
	rand   *rand.Rand
	// Of the cuts, how many came before the commit that ends a rollback. The
	// archive had so many roots after the last one.
	before, archived int
}

// A real initrd is killed at random moments of the rollback, of bringing the
// entries in, and of the first writes to the new root, over and over on one
// disk, so that recoveries are killed, too. After each cut there is a root that
// is whole; after some, all that was ever written is looked for; some disks are
// then booted twice from cold.
func TestRandomPowerCuts(t *testing.T) {
	total, cold := cuts, coldDisks
	if testenv.IsLong(t, fmt.Sprintf("%d of %d power cuts", cutsLong-cuts, cutsLong)) {
		total, cold = cutsLong, coldDisksLong
	}
	k := newKilled(t)
	if n := number(t, cutsEnv); n > 0 {
		total = int(n)
	}
	disks := max(1, total/cutsDisk)
	cold = min(cold, disks)
	begin := time.Now()
	for disk := range disks {
		k.newDisk()
		k.archived = 0
		for range cutsDisk {
			k.cutSomewhere()
		}
		k.judge()
		if disk%(disks/cold) == 0 {
			k.bootCold()
		}
		if t.Failed() {
			t.Fatalf("on disk %d", disk)
		}
	}
	for _, p := range k.phases {
		t.Logf("%4d power cuts in the %v of: %s", p.cuts, p.took, p.name)
	}
	t.Logf("%d power cuts, %d before the commit of the rollback, %d disks judged; with all that, %.1f s for each cut",
		disks*cutsDisk, k.before, disks, time.Since(begin).Seconds()/float64(disks*cutsDisk))
}

// newKilled makes the machine and measures how long its phases take.
func newKilled(t *testing.T) *killed {
	seed := number(t, seedEnv)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%s=%d repeats the choice of moments", seedEnv, seed)
	k := &killed{gated: newGated(t, standardRoot), phases: newPhases(), rand: rand.New(rand.NewPCG(seed, 0))}
	k.run()
	start := time.Now()
	for i := range k.phases {
		k.WaitFor(vmtest.Console(k.phases[i].from.String()))
		if i > 0 {
			k.phases[i-1].took = time.Since(start)
			start = time.Now()
		}
	}
	k.WaitFor(k.isSafe())
	k.phases[len(k.phases)-1].took = time.Since(start)
	k.cut()
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

// cutSomewhere goes on from the gate and cuts the power in some phase, now and
// then a little late, and looks at what that has left.
func (k *killed) cutSomewhere() {
	k.t.Helper()
	p := k.choose()
	k.run()
	k.WaitFor(vmtest.Console(p.from.String()))
	time.Sleep(time.Duration(k.rand.Int64N(int64(p.took)*9/8 + 1)))
	k.cut()
	p.cuts++
	if os.Geteuid() == 0 {
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
