// Package reboot boots machines with ebb in them, over and over, and looks at
// what is gone and what is kept.
package reboot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/install"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// machine is a machine with ebb, and what is checked after each boot of it.
type machine struct {
	*testvm.Machine
	t      *testing.T
	binary string

	// known are warnings and failures that a test makes on purpose: lines of
	// the journal that hold one of them are passed over.
	known []string
	// The last boot came up, and was not cut off: with so much known it was.
	isUp        bool
	knownBefore []string
}

// buildDir is where buildOnce makes the binary for all tests of this run.
var (
	buildDir  string
	buildOnce = sync.OnceValues(func() (string, error) { return install.Build(context.Background(), buildDir) })
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ebb-reboot-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	status := testvm.Main(m)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// standardLayout is a disk as the README proposes it.
func standardLayout() vmtest.DiskLayout {
	return vmtest.DiskLayout{
		Label: "nixos", Subvolumes: []string{"@", "@nix", "@persist"}, ReadOnly: []string{"@blank"}, Store: "@nix",
	}
}

// standardFstab mounts it.
func standardFstab() []vmtest.Mount {
	return []vmtest.Mount{
		vmtest.Subvolume("nixos", "@", "/"),
		vmtest.Subvolume("nixos", "@nix", "/nix"),
		vmtest.Subvolume("nixos", "@persist", "/persist"),
	}
}

// standardRoot is the member "root" of its config.
const standardRoot = `{"kind": "btrfs", "device": "/dev/disk/by-label/nixos"}`

// newMachine makes a machine that is off, with this disk and config.
func newMachine(t *testing.T, layout vmtest.DiskLayout, fstab []vmtest.Mount, document string) *machine {
	t.Helper()
	testvm.Parallel(t)
	kit := testvm.Kit(t)
	binary, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, binary: binary}
	m.Machine = testvm.New(t, kit, vmtest.Config{Disks: []string{testvm.Disk(t, kit, layout)}, Fstab: fstab})
	m.configure(document)
	return m
}

// document is a config with this root and these stores.
func document(root, stores string) string {
	return fmt.Sprintf(`{"version": 1, "root": %s, "stores": {%s}}`, root, stores)
}

// configure installs ebb with this config, from the next boot on.
func (m *machine) configure(document string) {
	m.t.Helper()
	parsed, err := config.Parse([]byte(document))
	if err != nil {
		m.t.Fatal(err)
	}
	m.configureAs(document, parsed)
}

// configureAs installs a config that the units were not made for.
func (m *machine) configureAs(document string, parsed *config.Config) {
	m.t.Helper()
	initrdFiles, systemFiles, err := install.Ebb(m.binary, document, parsed, m.Config.Fstab...)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Config.Initrd = initrdFiles
	// As on NixOS: journald makes its directory when it is missing.
	m.Config.System = append(systemFiles, files.Text("etc/systemd/journald.conf.d/storage.conf", "[Journal]\nStorage=persistent\n"))
}

// up boots, or reboots in order, and checks all that has to be so after every
// boot of every test.
func (m *machine) up(boot func() string) {
	m.t.Helper()
	wasUp, knownBefore := m.isUp, m.knownBefore
	state := boot()
	m.isUp, m.knownBefore = true, m.known
	m.checkJournal()
	if wasUp {
		m.checkShutdown(knownBefore)
	}
	if failed := m.Run("systemctl", "--failed", "--plain", "--no-legend"); m.isNew(failed) {
		m.t.Errorf("failed units:\n%s", failed)
	}
	if state != "running" && len(m.known) == 0 {
		m.t.Errorf("the system is %s", state)
	}
	if status := m.Try("ebb", "status"); status.Status != 0 && len(m.known) == 0 {
		m.t.Errorf("ebb status:\n%s%s", status.Stdout, status.Stderr)
	}
}

// trouble is what no journal of a good boot has in it.
var trouble = []string{
	"ordering cycle", "Failed unmounting", "Failed to", "failed with result", "Dependency failed", "refused", "is not in place",
}

func (m *machine) checkJournal() {
	m.t.Helper()
	m.Run("journalctl", "--sync") // journald may be behind with what it was told
	for line := range strings.Lines(m.Run("journalctl", "--boot", "--no-pager", "--no-hostname", "--output=short-monotonic")) {
		for _, word := range trouble {
			if strings.Contains(line, word) && m.isNew(line) {
				m.t.Errorf("in the journal: %s", strings.TrimSpace(line))
			}
		}
	}
}

// Cut cuts the power: the journal of this boot has no end.
func (m *machine) Cut() {
	m.t.Helper()
	m.isUp = false
	m.Machine.Cut()
}

// atShutdown is what no journal has in it of a machine that went down in order.
const atShutdown = "Failed unmounting|Failed to unmount|target is busy|Failed deactivating|ebb-.*Failed with result|ebb-.*timed out"

// nixAtShutdown is in the lines about what is mounted on /nix, from which systemd
// runs: see TestShutdownAndOptions, which knows when they are to be expected.
var nixAtShutdown = regexp.MustCompile(`/nix\b|\bnix\.mount`)

// checkShutdown looks at the end of the boot before, in which so much was known.
// Where the journal is not kept there is nothing to look at.
func (m *machine) checkShutdown(known []string) {
	m.t.Helper()
	lines := m.Run("sh", "-c", "journalctl --boot=-1 --no-pager --no-hostname --output=short-monotonic | grep -E '"+atShutdown+"'; true")
	for line := range strings.Lines(lines) {
		isKnown := slices.ContainsFunc(known, func(word string) bool { return strings.Contains(line, word) })
		if m.isNew(line) && !isKnown && !nixAtShutdown.MatchString(line) {
			m.t.Errorf("when the machine went down before: %s", strings.TrimSpace(line))
		}
	}
}

// harmless are lines of the journal that have nothing to do with ebb, and why.
var harmless = []string{
	"Failed to open libbpf", // a library that systemd can do without, and that is not there
}

// isNew reports whether text holds anything that no test has announced.
func (m *machine) isNew(text string) bool {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		announced := false
		for _, known := range append(m.known, harmless...) {
			announced = announced || strings.Contains(line, known)
		}
		if !announced {
			return true
		}
	}
	return false
}

// record is the boot record.
func (m *machine) record() *initrd.Record {
	m.t.Helper()
	var r initrd.Record
	if err := json.Unmarshal([]byte(m.Run("cat", "/run/ebb/boot.json")), &r); err != nil {
		m.t.Fatal(err)
	}
	return &r
}

func (m *machine) exists(path string) bool {
	m.t.Helper()
	// Only the shell has it in the initrd.
	return m.Try("sh", "-c", `test -e "$1"`, "sh", path).Status == 0
}

func (m *machine) wantGone(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if m.exists(path) {
			m.t.Errorf("%s is still there", path)
		}
	}
}

// want runs a command and compares what it writes.
func (m *machine) want(want string, argv ...string) {
	m.t.Helper()
	if got := m.Run(argv...); got != want {
		m.t.Errorf("%q: got\n%s\nwant\n%s", argv, got, want)
	}
}
