package initrd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

func TestGuards(t *testing.T) {
	for _, test := range []struct {
		name       string
		parameters string
		prepare    func(b *bench, h *Host)
		want       string // in the error; empty: no error
		wantState  State
	}{
		{name: "nothing in the way", wantState: StateDone},
		{name: "asked to keep", parameters: "ebb.rollback=no", wantState: StateKept},
		{name: "asked for nonsense", parameters: "ebb.rollback=../../x", wantState: StateKept},
		{
			name: "sysroot is mounted", wantState: StateRefused, want: "is mounted already",
			prepare: func(b *bench, h *Host) { h.Sysroot = b.Dir },
		},
		{
			name: "the root is mounted", wantState: StateRefused, want: `subvolume "@" is mounted on`,
			prepare: func(b *bench, _ *Host) { b.mountElsewhere("@") },
		},
		{
			name: "a directory of the root is mounted", wantState: StateRefused, want: `subvolume "@" is mounted on`,
			prepare: func(b *bench, _ *Host) { b.mountElsewhere("@/etc") },
		},
		{
			name: "another subvolume is mounted", wantState: StateDone,
			prepare: func(b *bench, _ *Host) { b.mountElsewhere("@persist") },
		},
		{
			name: "a subvolume in the root is mounted", wantState: StateRefused, want: `, from /@/nested`,
			prepare: func(b *bench, _ *Host) {
				testenv.Tree(b.t, b.Dir, "subvolume @/nested")
				b.mountElsewhere("@/nested")
			},
		},
		{
			name: "a subvolume in another one is mounted", wantState: StateDone,
			prepare: func(b *bench, _ *Host) {
				testenv.Tree(b.t, b.Dir, "subvolume @persist/nested")
				b.mountElsewhere("@persist/nested")
			},
		},
		{
			name: "the root is mounted below another mount", wantState: StateRefused, want: `subvolume "@" is mounted on`,
			prepare: func(b *bench, _ *Host) { b.cover(b.mountElsewhere("@")) },
		},
		{
			name: "the root is mounted where nothing is any more", wantState: StateRefused, want: `subvolume "@" is mounted on`,
			prepare: func(b *bench, _ *Host) { b.cover(filepath.Dir(b.mountElsewhere("@"))) },
		},
		{
			name: "another subvolume is mounted below another mount", wantState: StateDone,
			prepare: func(b *bench, _ *Host) { b.cover(b.mountElsewhere("@persist")) },
		},
		{
			name: "a root of the same name on another file system is mounted", wantState: StateDone,
			prepare: func(b *bench, _ *Host) { b.mountElsewhereFrom(b.another(), "@") },
		},
		{
			name: "that is below another mount", wantState: StateDone,
			prepare: func(b *bench, _ *Host) { b.cover(b.mountElsewhereFrom(b.another(), "@")) },
		},
		{
			name: "the root is a directory", wantState: StateRefused, want: `"@" is there and is not a subvolume`,
			prepare: func(b *bench, _ *Host) {
				b.remove("@/etc")
				b.remove("@")
				testenv.Tree(b.t, b.Dir, "dir @ 0755 0:0")
			},
		},
		{
			name: "the blank is a link", wantState: StateRefused, want: `"@blank" is there and is not a subvolume`,
			prepare: func(b *bench, _ *Host) { b.remove("@blank"); testenv.Tree(b.t, b.Dir, "link @blank @persist") },
		},
		{
			name: "the archive is somebody else's", wantState: StateRefused, want: "belongs to user 1000",
			prepare: func(b *bench, _ *Host) { testenv.Tree(b.t, b.Dir, "dir @roots 0777 1000:100") },
		},
		{
			name: "the archive is in use", wantState: StateRefused, want: "another ebb is at work",
			prepare: func(b *bench, _ *Host) {
				testenv.Tree(b.t, b.Dir, "dir @roots 0700 0:0")
				if err := unix.Flock(b.Open("@roots"), unix.LOCK_EX); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		{
			name: "the record is damaged", want: "cannot tell whether this boot had its rollback",
			prepare: func(b *bench, h *Host) {
				testenv.Tree(b.t, filepath.Dir(h.RunDir), "dir run 0755 0:0", "file run/boot.json 0644 0:0 {")
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, "", "subvolume @", "subvolume @blank", "subvolume @persist", "dir @/etc 0755 0:0")
			b.t = t
			h := b.host(test.parameters)
			if test.prepare != nil {
				test.prepare(b, h)
			}
			live := b.uuidOf("@")
			planned, plannedErr := h.PlanRollback(b.cfg)
			if _, err := os.Stat(filepath.Join(h.RunDir, ReadyName)); err == nil || b.uuidOf("@") != live {
				t.Error("planning has done something")
			}
			err := h.Rollback(b.cfg)
			if fmt.Sprint(plannedErr) != fmt.Sprint(err) || errors.Is(plannedErr, ErrRefused) != errors.Is(err, ErrRefused) {
				t.Errorf("planned with error %v, done with %v", plannedErr, err)
			}
			if (len(planned) > 0) != (err == nil) {
				t.Errorf("planned %q", planned)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("got error %v, want %q", err, test.want)
			}
			if test.want != "" && !errors.Is(err, ErrRefused) {
				t.Errorf("%v is no refusal", err)
			}
			if moved := b.uuidOf("@") != live; moved != (test.wantState == StateDone) {
				t.Errorf("moved: %v", moved)
			}
			if test.wantState == "" {
				return
			}
			record, err := ReadRecord(h.RunDir, h.BootID)
			if err != nil || record.Rollback.State != test.wantState || (record.Rollback.Reason == "") != (test.wantState == StateDone) {
				t.Errorf("record: %+v, %v", record, err)
			}
		})
	}
}

func (b *bench) uuidOf(path string) btrfs.UUID {
	id, err := identify(b.Open("."), path)
	if err != nil || id == nil {
		return btrfs.UUID{}
	}
	return id.UUID
}

func (b *bench) remove(path string) {
	b.t.Helper()
	if err := os.Remove(b.Path(path)); err != nil {
		b.t.Fatal(err)
	}
}

// mountElsewhere mounts a subvolume, or a directory, and returns where.
func (b *bench) mountElsewhere(path string) string {
	b.t.Helper()
	return b.mountElsewhereFrom(b.Fixture, path)
}

func (b *bench) mountElsewhereFrom(f *testenv.Fixture, path string) string {
	b.t.Helper()
	target := filepath.Join(b.t.TempDir(), "mount")
	if err := os.Mkdir(target, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := unix.Mount(f.Device(), target, "btrfs", 0, "subvol="+path); err != nil {
		if err := unix.Mount(f.Path(path), target, "", unix.MS_BIND, ""); err != nil {
			b.t.Fatal(err)
		}
	}
	b.unmountAfter(target)
	return target
}

// another makes a second file system with a root on it.
func (b *bench) another() *testenv.Fixture {
	b.t.Helper()
	f := testenv.Btrfs(b.t, testenv.BtrfsOptions{})
	testenv.Tree(b.t, f.Dir, "subvolume @")
	return f
}

// cover mounts something on a directory that is a mount, or has mounts in it.
func (b *bench) cover(target string) {
	b.t.Helper()
	if err := unix.Mount("tmpfs", target, "tmpfs", 0, "size=1M"); err != nil {
		b.t.Fatal(err)
	}
	b.unmountAfter(target)
}

func (b *bench) unmountAfter(target string) {
	b.t.Helper()
	b.t.Cleanup(func() {
		if err := unix.Unmount(target, 0); err != nil {
			b.t.Error(err)
		}
	})
}
