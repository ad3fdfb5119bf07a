package reboot

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/vmtest"
)

// recoveryPage is what a person has in the hand whose machine does not come up
// as it should. What it says to type is taken from there, and typed.
const recoveryPage = "../../docs/recovery.md"

// recoveryTests are those in which each of the things that the page names goes
// wrong, in a machine; number 0 is what to ask first.
var recoveryTests = map[int][]string{
	0:  {"TestRecovery", "TestDamagedConfig", "TestMissingDevice"},
	1:  {"TestRecovery", "TestRestore", "TestEntryAddedBetweenBoots"},
	2:  {"TestDamagedConfig", "TestMissingDevice", "TestFullFilesystem", "TestHibernation"},
	3:  {"TestMissingDevice", "TestTwoDevices"},
	4:  {"TestRecovery"},
	5:  {"TestDamagedConfig"},
	6:  {"TestRecovery", "TestRandomPowerCuts"},
	7:  {"TestHibernation"},
	8:  {"TestFullFilesystem"},
	9:  {"TestMissingStore"},
	10: {"TestLogThatCannotBeReplayed"},
}

// sections are those of the page that belong to one of the things, and have
// commands of their own.
var sections = map[string]int{"## Hibernation": 7}

// troubleBegins is where the page comes to the next thing that goes wrong; a
// comment ends a command.
var (
	troubleBegins = regexp.MustCompile(`^\*\*([0-9]+)\. `)
	comment       = regexp.MustCompile(` {2,}#.*`)
)

// parseRecovery returns the commands of the page, by the number of the thing
// that they are for.
func parseRecovery(page string) map[int][]string {
	commands := map[int][]string{}
	number, inBlock := 0, false
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if m := troubleBegins.FindStringSubmatch(line); m != nil {
			number, _ = strconv.Atoi(m[1]) // digits, by the expression
			commands[number] = nil
		} else if strings.HasPrefix(line, "## ") {
			number = sections[line]
		}
		command, isCommand := strings.CutPrefix(line, "# ")
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock = !inBlock
		case inBlock && isCommand:
			commands[number] = append(commands[number], comment.ReplaceAllString(command, ""))
		}
	}
	return commands
}

// fromPage is the command of the page that begins so, with its example replaced
// by what there is in the machine: pairs, as of strings.NewReplacer.
func fromPage(t *testing.T, number int, beginning string, example ...string) string {
	t.Helper()
	page, err := os.ReadFile(recoveryPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parseRecovery(string(page))[number] {
		if strings.HasPrefix(command, beginning) {
			return strings.NewReplacer(example...).Replace(command)
		}
	}
	t.Fatalf("%s, %d: no command begins with %q", recoveryPage, number, beginning)
	return ""
}

// Each command of the page is typed by a test, and for each thing that goes
// wrong there are tests.
func TestRecoveryPage(t *testing.T) {
	page, err := os.ReadFile(recoveryPage)
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	names, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	typed := map[int][]string{}
	for _, call := range regexp.MustCompile(`fromPage\(m?\.?t, ([0-9]+), "([^"]+)"`).FindAllStringSubmatch(source.String(), -1) {
		number, _ := strconv.Atoi(call[1]) // digits, by the expression
		typed[number] = append(typed[number], fromPage(t, number, call[2]))
	}
	commands := parseRecovery(string(page))
	if len(commands) != len(recoveryTests) {
		t.Errorf("the page has %d things that go wrong, and there are tests of %d", len(commands), len(recoveryTests))
	}
	for number, list := range commands {
		for _, command := range list {
			if !slices.Contains(typed[number], command) {
				t.Errorf("%d: no test types: %s", number, command)
			}
		}
		for _, test := range recoveryTests[number] {
			if !strings.Contains(source.String(), "\nfunc "+test+"(t *testing.T)") {
				t.Errorf("%d: there is no %s", number, test)
			}
		}
	}
}

func TestParseRecovery(t *testing.T) {
	const page = "```console\n# first     # why\n```\n\n**1. A thing.** Text.\n\n```\n# second --flag # 3\nprinted\n```\n\n# Title\n\n**12. Another.**\n"
	got := parseRecovery(page)
	if len(got) != 3 || !slices.Equal(got[0], []string{"first"}) || !slices.Equal(got[1], []string{"second --flag # 3"}) || len(got[12]) != 0 {
		t.Errorf("got %v", got)
	}
}

// byHand makes an archived root the live one, and leaves what a rollback that
// was interrupted before its exchange would leave, without anything of ebb.
const byHand = `mkdir -p /mnt; mount -o subvolid=5 ` + realDevice + ` /mnt
	grep -q '"boot"' /mnt/@roots/000002/meta.json
	mv /mnt/@ /mnt/@away
	btrfs -q subvolume snapshot /mnt/@roots/000002/root /mnt/@
	mkdir /mnt/@roots/.next; btrfs -q subvolume create /mnt/@roots/.next/root; umount /mnt`

// What the page says of roots, subvolumes and power cuts: of the rest other tests
// know more.
func TestRecovery(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	m.up(m.Boot)
	m.Shell("echo conf > /etc/thing.conf; echo notes > /home/gabriel/notes; echo data > /srv/data/file")
	m.up(m.Reboot)
	m.wantFirstAnswers()
	m.wantBroughtBack()

	m.Shell(byHand)
	m.wantAnswer(answer{"doctor", 0, []string{"a rollback was interrupted", "ebb plan"}})
	kept := append([]string{"machine-id"}, failedUnits...)
	m.known, m.Config.Params = kept, []string{"ebb.rollback=no"}
	m.up(m.Reboot)
	m.want("conf", "cat", "/etc/thing.conf")

	// The next boot clears up what is left, and says so.
	m.known, m.Config.Params = nil, nil
	m.up(m.Reboot)
	m.wantGone("/etc/thing.conf")
	m.wantRecovered("@roots/.trash")
	m.Off()

	m.wantOtherSubvolume()
}

// wantFirstAnswers asks what the page says to ask first, where all is well.
func (m *machine) wantFirstAnswers() {
	m.t.Helper()
	for command, word := range map[string]string{
		fromPage(m.t, 0, "ebb status"): "all is well",
		fromPage(m.t, 0, "ebb doctor"): "No fault was found.",
	} {
		if text := m.Shell(command); !strings.Contains(text, word) {
			m.t.Errorf("%s:\n%s", command, text)
		}
	}
	if r := m.Try("sh", "-c", fromPage(m.t, 0, "ebb plan")); !strings.Contains(r.Stdout, "Rollback") || !strings.Contains(r.Stdout, "Entries") {
		m.t.Errorf("ebb plan: status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
}

// wantBroughtBack brings back what was on the old root, number 2.
func (m *machine) wantBroughtBack() {
	m.t.Helper()
	m.wantGone("/etc/thing.conf", "/home/gabriel/notes")
	if list := m.Shell(fromPage(m.t, 1, "ebb roots")); !strings.Contains(list, "\n2 ") && !strings.Contains(list, " 2 ") {
		m.t.Errorf("ebb roots:\n%s", list)
	}
	m.Shell(fromPage(m.t, 1, "ebb restore /etc"))
	m.want("conf", "cat", "/etc/thing.conf")
	m.Shell(fromPage(m.t, 1, "ebb restore --from", "17", "2"))
	m.want("notes", "cat", "/tmp/notes")
	const directory = "/run/ebb/roots/000002"
	if text := m.Shell(fromPage(m.t, 1, "ebb roots mount", "17", "2") + " 2>&1"); !strings.Contains(text, directory) {
		m.t.Errorf("ebb roots mount:\n%s", text)
	}
	m.want("notes", "cat", directory+"/home/gabriel/notes")
	m.Shell("ebb roots umount 2")
	m.Shell("ebb restore --into-store /home/gabriel/notes")
	m.want("notes", "cat", "/persist/home/gabriel/notes")
}

// wantRecovered looks for what a boot has cleared up: in the record, and where it
// has put it.
func (m *machine) wantRecovered(where string) {
	m.t.Helper()
	r := m.record().Rollback
	if len(r.Recovered) == 0 || !r.Fresh {
		m.t.Errorf("the record says of the rollback: %+v", r)
	}
	if status := m.Run("ebb", "status"); !strings.Contains(status, "recovered") || !strings.Contains(status, where) {
		m.t.Errorf("ebb status does not tell of it:\n%s", status)
	}
	m.Shell("mkdir -p /run/top; mount -o subvolid=5,ro " + realDevice + " /run/top; cd /run/top/" + where + "; test -d ./*/root; test ! -e ../.next; cd /; umount /run/top")
}

// wantOtherSubvolume gives a machine that is off a config whose root is under no
// such name on the disk. With the root to be kept there is nothing to mount, and
// ebb says which subvolumes there are; else it is made anew.
func (m *machine) wantOtherSubvolume() {
	m.t.Helper()
	m.Config.Fstab[0] = vmtest.Subvolume("nixos", "@rot", "/")
	m.configure(document(`{"kind": "btrfs", "device": "`+realDevice+`", "subvolume": "@rot", "blank": "@blanc"}`, basicStores))
	m.Config.Params = []string{"ebb.rollback=no"}
	m.BootTo(vmtest.InitrdEmergency())
	m.WaitFor(vmtest.Console(shellPrompt))
	m.wantAnswer(answer{"doctor", 1, []string{`there is no subvolume "@rot"; a rollback makes it anew`, "# there is @\n", "# there is @away\n", `there is no "@blanc": a fresh "@rot" is empty`}})
	m.wantAnswer(answer{"status", 1, []string{"ebb.rollback=no"}})
	m.wantAnswer(answer{"roots", 0, []string{"2"}})
	m.Cut()

	m.Config.Params = nil
	m.up(m.Boot)
	m.wantLiveRoot()
	m.want("data", "cat", "/srv/data/file")
	m.wantAnswer(answer{"doctor", 0, []string{`there is no "@blanc"`}})
	m.Shell("mkdir -p /run/top; mount -o subvolid=5,ro " + realDevice + " /run/top; test -d /run/top/@; umount /run/top")
	m.Cut()
}
