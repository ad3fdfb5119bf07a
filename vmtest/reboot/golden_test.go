package reboot

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/testvm"
)

// goldenDir has what the NixOS module writes for a few set-ups, one directory
// for each: initrd/etc and system/etc as they lie in the machine, and beside
// them "wants", whose lines name a unit and what it wants. The module's own
// tests see to it that they are current.
const goldenDir = "../../nixos-module/tests/golden"

// storePath is where the package lies in the running system; golden files have
// @ebb@ for it. In the initrd, as on NixOS, the program is /bin/ebb.
const storePath = "/run/vmtest"

// goldenFiles returns the files of one stage of a set-up.
func goldenFiles(t *testing.T, setup, stage string) []files.File {
	t.Helper()
	dir := filepath.Join(goldenDir, setup, stage)
	var list []files.File
	err := filepath.WalkDir(filepath.Join(dir, "etc"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		list = append(list, files.Text(rel, strings.ReplaceAll(string(text), "@ebb@", storePath)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wants, err := os.ReadFile(filepath.Join(dir, "wants"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(wants)) {
		target, unit, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			t.Fatalf("%s/wants: %q is not a unit and what it wants", dir, line)
		}
		list = append(list, files.Symlink(path.Join("etc/systemd/system", target+".wants", unit), "../"+unit))
	}
	return list
}

// newGoldenMachine makes a machine that has of ebb what the module writes, and
// the binary.
func newGoldenMachine(t *testing.T, setup string, layout vmtest.DiskLayout, fstab []vmtest.Mount) (*machine, *config.Config) {
	t.Helper()
	testvm.Parallel(t)
	kit := testvm.Kit(t)
	binary, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, binary: binary}
	m.Machine = testvm.New(t, kit, vmtest.Config{Disks: []string{testvm.Disk(t, kit, layout)}, Fstab: fstab})
	m.Config.Initrd = append(goldenFiles(t, setup, "initrd"), files.Program("usr/bin/ebb", binary)) // /bin is a link to it
	m.Config.System = append(goldenFiles(t, setup, "system"),
		files.Program(path.Join(storePath, "bin/ebb"), binary),
		files.Text("etc/systemd/journald.conf.d/storage.conf", "[Journal]\nStorage=persistent\n"))
	document, err := os.ReadFile(filepath.Join(goldenDir, setup, "system/etc/ebb/config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return m, c
}

// What the NixOS module writes is what boots: the units with their drop-ins and
// the config, byte for byte.
func TestGolden(t *testing.T) {
	subvolumes := planted(standardLayout())
	crypt := planted(encryptedLayout())
	for _, c := range []struct {
		setup  string
		layout vmtest.DiskLayout
		device string
	}{
		{"btrfs", subvolumes, realDevice},
		{"tmpfs", subvolumes, realDevice},
		{"luks", crypt, mappedDevice},
		{"hundred", subvolumes, realDevice},
	} {
		t.Run(c.setup, func(t *testing.T) {
			fstab := fstabOn(c.device)
			for i := range fstab {
				fstab[i].Options += ",noatime"
			}
			if c.setup == "tmpfs" {
				fstab[0] = vmtest.Mount{What: "none", Where: "/", Type: "tmpfs", Options: "mode=755"}
			}
			m, parsed := newGoldenMachine(t, c.setup, c.layout, fstab)
			boot, again := m.Boot, m.Reboot
			if c.setup == "luks" {
				m.Config.Crypttab = []string{"cryptroot " + encrypted + " none luks"}
				boot = func() string { return m.bootTyping(0) }
				again = func() string { m.Off(); return m.bootTyping(0) }
			}
			m.up(boot)
			m.wantGoldenRoot(parsed)
			m.wantEntries(parsed)
			machineID := m.Run("cat", "/etc/machine-id")
			m.Shell("echo old > /marker; mkdir -p /opt/x; echo gone > /opt/x/gone\n" + eachEntry(parsed, writeInto))
			m.up(again)
			m.wantGoldenRoot(parsed)
			m.wantEntries(parsed)
			m.want("", "sh", "-euc", eachEntry(parsed, compareIn))
			m.want(machineID, "cat", "/etc/machine-id")
			m.Off()
		})
	}
}

// wantGoldenRoot checks that the root is fresh, whatever kind it is of.
func (m *machine) wantGoldenRoot(c *config.Config) {
	m.t.Helper()
	m.wantGone("/marker", "/opt/x", "/nested")
	if c.Root.Kind == config.KindBtrfs {
		m.wantLiveRoot()
		m.wantOneFirstMount()
	} else {
		m.want("tmpfs", "findmnt", "-no", "FSTYPE", "/")
	}
	if !m.record().Rollback.Fresh {
		m.t.Error("the record says that the root is not fresh")
	}
	m.Run("ebb", "status")
	for _, unit := range []string{"ebb-status.service", "ebb-sync.service"} {
		m.want("active", "systemctl", "is-active", unit)
	}
}

// idPath is the one entry that systemd fills.
const idPath = "/etc/machine-id"

// eachEntry is a script with a line for each entry that is there to be written
// to.
func eachEntry(c *config.Config, line func(config.Entry) string) string {
	var script strings.Builder
	for _, store := range c.Stores {
		for _, e := range store.Entries {
			if e.Path != idPath {
				script.WriteString(line(e) + "\n")
			}
		}
	}
	return script.String()
}

// contentsOf is what an entry is given to keep.
func contentsOf(e config.Entry) (file, text string) {
	if e.Directory {
		return e.Path + "/kept", "kept in " + e.Path
	}
	return e.Path, "kept as " + e.Path
}

func writeInto(e config.Entry) string {
	file, text := contentsOf(e)
	return fmt.Sprintf("echo '%s' > '%s'", text, file)
}

func compareIn(e config.Entry) string {
	file, text := contentsOf(e)
	return fmt.Sprintf("read -r line < '%s'; test \"$line\" = '%s' || echo \"%s: $line\"", file, text, file)
}

// wantEntries compares the owners and modes of all directories, which ebb has
// made where the store had none, with the config.
func (m *machine) wantEntries(c *config.Config) {
	m.t.Helper()
	var want strings.Builder
	script := eachEntry(c, func(e config.Entry) string {
		if !e.Directory {
			return ""
		}
		mode := uint32(0o755)
		if e.Mode != nil {
			mode = *e.Mode
		}
		var uid, gid uint32
		if e.Owner.UID != nil {
			uid = *e.Owner.UID
		}
		if e.Owner.GID != nil {
			gid = *e.Owner.GID
		}
		fmt.Fprintf(&want, "%s %o %d:%d\n", e.Path, mode, uid, gid)
		return fmt.Sprintf("stat -c '%%n %%a %%u:%%g' '%s'; mountpoint -q '%s'", e.Path, e.Path)
	})
	m.want(strings.TrimSuffix(want.String(), "\n"), "sh", "-euc", script)
}
