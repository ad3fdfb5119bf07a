package reboot

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/vmtest"
)

// entryOf is an entry of a config, as far as this test needs it.
type entryOf struct {
	Path    string   `json:"path"`
	How     string   `json:"how,omitempty"`
	UID     int      `json:"uid,omitempty"`
	GID     int      `json:"gid,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Hidden  bool     `json:"hidden,omitempty"`
	Options []string `json:"options,omitempty"`

	Subvolume bool `json:"subvolume,omitempty"`
}

type storeOf struct {
	Directories []entryOf `json:"directories,omitempty"`
	Files       []entryOf `json:"files,omitempty"`
}

// manyEntries are 300 entries of all kinds in two stores, those of the second
// one nested in those of the first.
func manyEntries() map[string]storeOf {
	var persist, cache storeOf
	persist.Directories = []entryOf{{Path: "/var/log"}, {Path: "/var/lib/systemd"}}
	persist.Files = []entryOf{{Path: "/etc/machine-id", How: "sync"}}
	for n := range 97 {
		home := fmt.Sprintf("/home/user%d", n%10)
		owner := 1000 + n%10
		directory := entryOf{Path: fmt.Sprintf("%s/dir%d", home, n), UID: owner, GID: 100, Mode: "0700", Hidden: n%3 == 0}
		if n%10 == 7 {
			directory.Options = []string{"noexec", "nosuid"}
		}
		directory.Subvolume = n%20 == 3
		persist.Directories = append(persist.Directories, directory)
		persist.Files = append(persist.Files, entryOf{
			Path: fmt.Sprintf("/etc/app%d/state", n), How: []string{"bind", "symlink", "sync"}[n%3], Mode: "0640",
		})
		cache.Directories = append(cache.Directories, entryOf{
			Path: fmt.Sprintf("%s/dir%d/deep/cache", home, n), UID: owner, GID: 100, Mode: "0750",
		})
	}
	persist.Directories = append(persist.Directories, entryOf{Path: "/srv/odd name\t\\ü"}, entryOf{Path: "/opt/a"})
	persist.Files = append(persist.Files, entryOf{Path: "/opt/f"}, entryOf{Path: "/var/spool/link", How: "symlink"})
	cache.Directories = append(cache.Directories, entryOf{Path: "/opt/a/nested"}, entryOf{Path: "/opt/b", How: "symlink"})
	return map[string]storeOf{"/persist": persist, "/persist-cache": cache}
}

// 300 entries of all kinds are in place before initrd-fs.target, and what is
// written to them stays.
func TestManyEntries(t *testing.T) {
	stores := manyEntries()
	text, err := json.Marshal(map[string]any{
		"version": 1, "root": map[string]string{"kind": "btrfs", "device": "/dev/disk/by-label/nixos"}, "stores": stores,
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := config.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if count := len(parsed.Stores[0].Entries) + len(parsed.Stores[1].Entries); count != 300 {
		t.Fatalf("%d entries", count)
	}
	layout, fstab := standardLayout(), standardFstab()
	layout.Subvolumes = append(layout.Subvolumes, "@cache")
	fstab = append(fstab, vmtest.Subvolume("nixos", "@cache", "/persist-cache"))
	m := newMachine(t, layout, fstab, string(text))

	m.up(m.Boot)
	m.wantInPlace(300)
	m.wantBeforeInitrdFS()
	m.Shell(`
		for n in $(seq 0 96); do u=$((n % 10)); echo $n > /home/user$u/dir$n/f; echo c$n > /home/user$u/dir$n/deep/cache/f; echo s$n > /etc/app$n/state; done
		echo odd > "$(printf '/srv/odd name\t\\ü')/f"; echo l > /var/spool/link; echo b > /opt/b/f; echo n > /opt/a/nested/f`)
	before := m.manyContents()
	m.up(m.Reboot)
	m.wantInPlace(300)
	m.wantBeforeInitrdFS()
	if after := m.manyContents(); after != before {
		t.Errorf("before the reboot\n%s\nafter it\n%s", before, after)
	}
	m.want("1007 100 700", "stat", "-c", "%u %g %a", "/home/user7/dir7")
	m.want("1007 100 700", "stat", "-c", "%u %g %a", "/home/user7")
	m.want("1007 100 755", "stat", "-c", "%u %g %a", "/home/user7/dir7/deep")
	if options := m.Run("findmnt", "-no", "OPTIONS", "/home/user7/dir7"); !strings.Contains(options, "noexec") || !strings.Contains(options, "nosuid") {
		t.Errorf("mount options: %s", options)
	}
	m.want("256", "stat", "-c", "%i", "/home/user3/dir3") // the root of a subvolume
	m.reportTimes()
	m.Cut()
}

func (m *machine) manyContents() string {
	m.t.Helper()
	return m.Shell(`
		for n in $(seq 0 96); do u=$((n % 10)); cat /home/user$u/dir$n/f /home/user$u/dir$n/deep/cache/f /etc/app$n/state; done
		cat "$(printf '/srv/odd name\t\\ü')/f" /var/spool/link /opt/b/f /opt/a/nested/f`)
}

func (m *machine) wantInPlace(count int) {
	m.t.Helper()
	record := m.record().Mount
	if len(record.Entries) != count || record.State != "done" {
		m.t.Errorf("the record has %d entries, state %s", len(record.Entries), record.State)
	}
	for _, e := range record.Entries {
		if !e.OK() {
			m.t.Errorf("%s: %s, %s", e.Path, e.State, e.Reason)
		}
	}
}

// wantBeforeInitrdFS compares the order in which the initrd's units became
// active, in microseconds of the monotonic clock.
func (m *machine) wantBeforeInitrdFS() {
	m.t.Helper()
	mounted, reached := m.finished("Finished ebb-mount.service"), m.finished("Reached target initrd-fs.target")
	rolledBack, sysroot := m.finished("Finished ebb-rollback.service"), m.finished("Mounted sysroot.mount")
	if mounted > reached || rolledBack > sysroot || sysroot > mounted {
		m.t.Errorf("order: rollback %d, sysroot.mount %d, mount %d, initrd-fs.target %d", rolledBack, sysroot, mounted, reached)
	}
}

// finished is when PID 1 has logged this line in the initrd.
func (m *machine) finished(line string) int {
	m.t.Helper()
	out := m.Journal([]string{"--output=json", "--output-fields=__MONOTONIC_TIMESTAMP,MESSAGE", "_PID=1"}, line)
	for text := range strings.Lines(out) {
		var entry struct {
			Time    string `json:"__MONOTONIC_TIMESTAMP"`
			Message string `json:"MESSAGE"`
		}
		if json.Unmarshal([]byte(text), &entry) != nil || !strings.HasPrefix(entry.Message, line) {
			continue // messages that are not text are arrays
		}
		at, err := strconv.Atoi(entry.Time)
		if err != nil {
			m.t.Fatal(err)
		}
		return at
	}
	m.t.Fatalf("PID 1 has not logged %q", line)
	return 0
}

// reportTimes tells how long both units took, from start to end.
func (m *machine) reportTimes() {
	m.t.Helper()
	record := m.record()
	m.t.Logf("ebb-rollback.service %.3f s (the program %.3f s), ebb-mount.service %.3f s (the program %.3f s)",
		float64(m.finished("Finished ebb-rollback.service")-m.finished("Starting ebb-rollback.service"))/1e6, record.Rollback.Seconds,
		float64(m.finished("Finished ebb-mount.service")-m.finished("Starting ebb-mount.service"))/1e6, record.Mount.Seconds)
}
