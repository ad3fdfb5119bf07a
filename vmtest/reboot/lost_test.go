package reboot

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/units"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

// How often a user works and reboots.
const (
	lostRounds     = 1
	lostRoundsLong = 10
)

// What "ebb diff" lists before a reboot is what the reboot loses, to the file:
// whatever a user does to the root, on btrfs and in memory.
func TestWhatIsListedIsWhatIsLost(t *testing.T) {
	for kind, fstab := range map[string]vmtest.Mount{
		"btrfs": standardFstab()[0],
		"tmpfs": {What: "tmpfs", Where: "/", Type: "tmpfs", Options: "mode=0755"},
	} {
		t.Run(kind, func(t *testing.T) {
			root := standardRoot
			if kind == "tmpfs" {
				root = `{"kind": "tmpfs", "size": "50%"}`
			}
			m := newMachine(t, standardLayout(), append([]vmtest.Mount{fstab}, standardFstab()[1:]...), document(root, basicStores))
			m.addReporter()
			rounds := lostRounds
			if testenv.IsLong(t, fmt.Sprintf("%d of %d reboots", lostRoundsLong-lostRounds, lostRoundsLong)) {
				rounds = lostRoundsLong
			}
			seed := seed(t)
			m.up(m.Boot)
			for round := range uint64(rounds) {
				m.lose(newUser(seed+round, kind == "btrfs"))
			}
			m.Off()
		})
	}
}

// addReporter adds what activation makes, and the unit that reports at shutdown.
func (m *machine) addReporter() {
	m.t.Helper()
	for i := range confFiles {
		text := fmt.Sprintln("made at activation", i)
		m.Config.System = append(m.Config.System,
			files.Text(fmt.Sprintf("etc/conf-%d", i), text), files.Text(fmt.Sprintf("var/lib/service-%d/state", i), text))
	}
	text, err := units.Files.ReadFile(units.DiffShutdown)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Config.System = append(m.Config.System, vmtest.Unit(units.DiffShutdown, string(text), "sysinit.target.wants")...)
}

// lose lets a user work, reboots, and compares what was listed with what is
// gone.
func (m *machine) lose(u *user) {
	m.t.Helper()
	again := m.listed() // what the system makes at each boot, after activation
	m.work(u)
	listed := m.listed()
	m.wantSameInJSON(listed)
	before, entries := m.inventory("/"), m.inventory("/persist/srv/data")
	m.up(m.Reboot)
	after := m.inventory("/")
	if u.btrfs {
		before = m.archivedInventory()
	}
	lost := gone(before, after)
	touched := u.touchedFiles()
	m.compare(slices.DeleteFunc(listed, func(file string) bool {
		return (touched[file] || slices.Contains(again, file)) && !slices.Contains(lost, file)
	}), lost, "lost")
	if len(lost) < 50 {
		m.t.Errorf("only %d files were lost", len(lost))
	}
	if now := m.inventory("/persist/srv/data"); !maps.Equal(now, entries) {
		m.t.Errorf("an entry had %q and has %q", entries, now)
	}
	m.wantReport(len(listed))
	if u.btrfs {
		m.wantArchivedListed(before, after)
	}
	m.t.Logf("%d files listed, %d lost, %d held before, %d after", len(listed), len(lost), len(before), len(after))
}

// listed is what "ebb diff" says, byte by byte.
func (m *machine) listed(more ...string) []string {
	m.t.Helper()
	names := nulSeparated(m.Run(append([]string{"ebb", "diff", "--files0", "--files", "--all"}, more...)...))
	slices.Sort(names)
	return names
}

func nulSeparated(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
}

// wantSameInJSON demands the same names of the report for programs, in which
// what is not UTF-8 cannot be written.
func (m *machine) wantSameInJSON(listed []string) {
	m.t.Helper()
	var doc struct {
		Items []struct{ Path string }
		Lost  struct{ Files int }
	}
	if err := json.Unmarshal([]byte(m.Run("ebb", "diff", "--json", "--files", "--all")), &doc); err != nil {
		m.t.Fatal(err)
	}
	var got, want []string
	for _, item := range doc.Items {
		got = append(got, item.Path)
	}
	for _, file := range listed {
		want = append(want, string([]rune(file)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || doc.Lost.Files != len(want) {
		m.t.Errorf("--json has %d files %q, and says that they are %d; --files0 has %d: %q", len(got), got, doc.Lost.Files, len(want), want)
	}
}

// inventoryScript prints what a directory holds, without what is mounted there,
// in groups of three, each with a NUL behind it: what it is, what it holds, and
// its path; then the sums of all files.
const inventoryScript = `mkdir -p /run/bare; mount --bind "$1" /run/bare; cd /run/bare
find . -type d -fstype btrfs -inum 2 -o -type d -empty -printf 'empty\0\0%P\0' -o -type d -printf 'directory\0\0%P\0' -o -type l -printf 'link\0%l\0%P\0' -o -type f -printf 'file\0%m\0%P\0'
find . -type f -print0 | xargs -0r sha256sum -z --; cd /; umount /run/bare`

// thing is something in a root.
type thing struct{ kind, holds string }

func (m *machine) inventory(dir string) map[string]thing {
	m.t.Helper()
	all := map[string]thing{}
	fields := nulSeparated(m.Run("sh", "-euc", inventoryScript, "sh", dir))
	for len(fields) > 0 {
		sum, file, isSum := strings.Cut(fields[0], "  ./")
		if !isSum {
			all["/"+fields[2]] = thing{fields[0], fields[1]}
			fields = fields[3:]
			continue
		}
		all["/"+file] = thing{"file", all["/"+file].holds + " " + sum}
		fields = fields[1:]
	}
	return all
}

// archivedInventory is that of the root which was archived last.
func (m *machine) archivedInventory() map[string]thing {
	m.t.Helper()
	m.Run("mkdir", "-p", "/run/old")
	m.Run("ebb", "roots", "mount", m.lastArchived(), "/run/old")
	all := m.inventory("/run/old")
	m.Run("ebb", "roots", "umount", "/run/old")
	return all
}

// lastArchived is the number of the root that this boot has archived.
func (m *machine) lastArchived() string { return fmt.Sprint(m.record().Rollback.Sequence) }

// gone are the paths that were there, and are not, or not the same. Links into
// the store are nobody's data.
func gone(before, after map[string]thing) (paths []string) {
	for file, was := range before {
		is := after[file]
		switch {
		case was == is, was.kind == "directory", was.kind == "empty" && is.kind == "directory":
		case was.kind == "link" && (strings.HasPrefix(was.holds, "/nix/store/") || strings.HasPrefix(was.holds, "/etc/static/")):
		default:
			paths = append(paths, file)
		}
	}
	slices.Sort(paths)
	return paths
}

func (m *machine) compare(listed, lost []string, what string) {
	m.t.Helper()
	for _, file := range lost {
		if !slices.Contains(listed, file) {
			m.t.Errorf("%q was %s, and not listed", file, what)
		}
	}
	for _, file := range listed {
		if !slices.Contains(lost, file) {
			m.t.Errorf("%q was listed, and not %s", file, what)
		}
	}
}

// wantArchivedListed demands of "ebb diff --from" what the archived root has and
// this one has not.
func (m *machine) wantArchivedListed(archived, present map[string]thing) {
	m.t.Helper()
	for file := range archived {
		if present[file].kind != "" {
			delete(archived, file)
		}
	}
	m.compare(m.listed("--from", m.lastArchived()), gone(archived, present), "missing")
}

// wantReport looks at the report that was written when the machine went down.
func (m *machine) wantReport(listed int) {
	m.t.Helper()
	var doc struct {
		Lost, Hidden struct{ Files int }
		Problems     []string
	}
	report := m.Shell("cd /persist/.ebb/diff; set -- *Z.json; shift $(($# - 1)); cat \"$1\"")
	if err := json.Unmarshal([]byte(report), &doc); err != nil {
		m.t.Fatal(err)
	}
	if n := doc.Lost.Files + doc.Hidden.Files; n != listed || len(doc.Problems) > 0 {
		m.t.Errorf("the report at shutdown says that %d files are lost, and not %d; %q", n, listed, doc.Problems)
	}
}

// seed is that of random numbers: of the environment, or another one each time.
func seed(t *testing.T) uint64 {
	t.Helper()
	seed := number(t, seedEnv)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%s=%d repeats the choices", seedEnv, seed)
	return seed
}
