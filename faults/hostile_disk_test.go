package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// TestHostileRoot has something else than a subvolume stand where the root
// belongs, and thousands of subvolumes beside it.
func TestHostileRoot(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	d.members = []member{fromBlank}
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	for _, c := range []struct {
		name, tree, reason string
	}{
		{"a directory", "file @/etc/name 0600 0:0 kept", "not a subvolume"},
		{"a file", "file @ 0600 0:0 kept", ""},
		{"a link", "link @ @persist", ""},
		{"a FIFO", "fifo @", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer inNamespace(t)()
			m.clear(t)
			testenv.Tree(t, m.Dir, append([]string{"subvolume @persist", "file @persist/data 0600 0:0 kept", c.tree}, blankTree...)...)
			before := testenv.Fingerprint(t, m.Dir)
			m.boot()
			r := m.rollback(t)
			if r.Status != 1 || m.isReady() || !strings.Contains(r.Output, c.reason) || !strings.Contains(r.Output, `"@"`) {
				t.Errorf("status %d: %s", r.Status, r.Output)
			}
			after := testenv.Fingerprint(t, m.Dir)
			for path, text := range before {
				if path != "." && after[path] != text {
					t.Errorf("%s was %s, is %s", path, text, after[path])
				}
			}
		})
	}
	t.Run("many subvolumes", func(t *testing.T) {
		defer inNamespace(t)()
		m.clear(t)
		testenv.Tree(t, m.Dir, append([]string{"subvolume @"}, blankTree...)...)
		count := 500
		if testenv.IsLong(t, "99,500 of 100,000 subvolumes beside the root") {
			count = 100_000
		}
		many := m.Path("many")
		require(t, os.Mkdir(many, 0o700))
		fd := m.Open("many")
		for n := range count {
			require(t, btrfs.CreateSubvolume(fd, fmt.Sprint(n)))
		}
		m.write(t)
		m.boot()
		m.wantFresh(t, m.rollback(t), "a rollback beside many subvolumes")
		m.whole(t, true)
	})
}

// TestUsersSubvolume has a user's own subvolumes stand in the store, on a file
// system where users may delete theirs: as the source, and under the name that
// ebb uses for what it has not finished.
func TestUsersSubvolume(t *testing.T) {
	t.Parallel()
	d := &disk{Fixture: testenv.Btrfs(t, testenv.BtrfsOptions{MountOptions: "user_subvol_rm_allowed"})}
	d.top = d.Open(".")
	m := newMachine(t, d, `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {
		"directories": [{"path": "/home/ada/own"}, {"path": "/home/ada/new", "uid": 1000, "gid": 100, "mode": "0700"}, {"path": "/zz-good"}]}}}`)
	testenv.Tree(t, d.Dir, "subvolume @", "dir @/persist", "dir @/home/ada 0755 1000:100", "subvolume @persist", "dir @persist/home/ada 0755 1000:100",
		"subvolume @persist/home/ada/own 0700 1000:100", "subvolume @persist/home/ada/own/inner 0700 1000:100",
		"file @persist/home/ada/own/inner/data 0600 1000:100 hers", "subvolume @persist/home/ada/.new.ebb-new 0700 1000:100",
		"file @persist/home/ada/.new.ebb-new/data 0600 1000:100 hers")
	defer inNamespace(t)()
	require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
	require(t, unix.Mount(d.Device(), m.path("sysroot"), "btrfs", 0, "subvol=@"))
	require(t, unix.Mount(d.Device(), m.path("sysroot/persist"), "btrfs", 0, "subvol=@persist"))
	before := testenv.Fingerprint(t, d.Path("@persist/home/ada"))
	m.boot()
	r := run(t, m.ebb("mount"))
	if r.Status != 1 || !strings.Contains(r.Output, "/home/ada/.new.ebb-new is a directory owned by uid 1000") {
		t.Errorf("status %d: %s", r.Status, r.Output)
	}
	if diff := before.Diff(testenv.Fingerprint(t, d.Path("@persist/home/ada"))); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
	table := strings.Join(m.mounts(t), "\n")
	for _, place := range []string{"home/ada/own", "zz-good"} {
		if !strings.Contains(table, " "+m.path("sysroot/"+place)+" ") {
			t.Errorf("%s is not in place: %s", place, r.Output)
		}
	}
}

// TestClone plugs in a second disk that is a copy of the first, down to the uuid
// of the file system. The one that the config names is rolled back, and no byte
// of the other is changed.
func TestClone(t *testing.T) {
	t.Parallel()
	small := testenv.BtrfsOptions{Size: 128 << 20}
	d := &disk{Fixture: testenv.Btrfs(t, small), members: []member{fromBlank}}
	d.top = d.Open(".")
	m := newMachine(t, d, fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q}}`, d.Device()))
	testenv.Tree(t, d.Dir, append([]string{"subvolume @"}, blankTree...)...)
	m.write(t)
	clone := testenv.Btrfs(t, small)
	clone.Unmount()
	d.Unmount()
	copyDevice(t, d.Device(), clone.Device())
	before := hashDevice(t, clone.Device())
	leave := inNamespace(t)
	m.boot()
	r := m.rollback(t)
	leave()
	if hashDevice(t, clone.Device()) != before {
		t.Error("the clone has changed")
	}
	d.Mount()
	d.top = d.Open(".")
	m.wantFresh(t, r, "the rollback beside a clone")
	m.whole(t, true)
}

func copyDevice(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	require(t, err)
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY, 0)
	require(t, err)
	_, err = io.Copy(target, source)
	require(t, err)
	require(t, target.Sync())
	require(t, target.Close())
}

func hashDevice(t *testing.T, path string) string {
	t.Helper()
	device, err := os.Open(path)
	require(t, err)
	defer device.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, device)
	require(t, err)
	return fmt.Sprintf("%x", hash.Sum(nil))
}
