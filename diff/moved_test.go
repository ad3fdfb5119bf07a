package diff

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// What lies in a directory that was renamed has not changed, and is lost all the
// same: the next boot makes it where it was.
func TestRenamedDirectories(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *machine{"btrfs": newBtrfsMachine, "tmpfs": newTmpfsMachine} {
		t.Run(name, func(t *testing.T) {
			m := make(t)
			m.boot()
			rename := func(from, to string, flags uint) {
				t.Helper()
				if err := unix.Renameat2(unix.AT_FDCWD, m.root()+from, unix.AT_FDCWD, m.root()+to, flags); err != nil {
					t.Fatal(err)
				}
			}
			// A change in a directory, and one of its mode, are not one of its name.
			testenv.Tree(t, m.root(), "file var/lib/service-9/new 0644 0:0 x", "dir opt/made")
			if err := os.Chmod(m.root()+"/var/lib/service-8", 0o700); err != nil {
				t.Fatal(err)
			}
			rename("/var/lib/service-1", "/var/lib/renamed", 0)
			rename("/var/lib/service-2", "/opt/made/inside", 0)
			rename("/var/lib/service-3", "/var/lib/service-4", unix.RENAME_EXCHANGE)
			rename("/var/lib/service-5/empty", "/var/lib/service-5/void", 0)
			rename("/var/lib/service-6", "/var/lib/service-7/deep", 0)
			testenv.Tree(t, m.root(), "file var/lib/renamed/new 0644 0:0 x")
			want := []string{
				"/opt/made/inside/empty", "/opt/made/inside/state", "/var/lib/renamed/empty", "/var/lib/renamed/new", "/var/lib/renamed/state",
				"/var/lib/service-3/empty", "/var/lib/service-3/state", "/var/lib/service-4/empty", "/var/lib/service-4/state",
				"/var/lib/service-5/void", "/var/lib/service-7/deep/empty", "/var/lib/service-7/deep/state", "/var/lib/service-9/new",
			}
			if got := names(t, m.judge(Judge{}), "/"); !slices.Equal(got, want) {
				t.Errorf("lost %q,\nwant %q", got, want)
			}
		})
	}
}

// A subvolume that activation has made has another path when a directory that
// it lies in has, or when it was renamed itself.
func TestRenamedSubvolumes(t *testing.T) {
	m := newBtrfsMachine(t)
	m.boot()
	testenv.Tree(t, m.root(), "subvolume var/lib/machines", "file var/lib/machines/a 0644 0:0 a", "dir var/lib/outer", "subvolume var/lib/outer/in",
		"file var/lib/outer/in/deep/b 0644 0:0 b", "subvolume var/lib/stays", "file var/lib/stays/c 0644 0:0 c")
	m.settle()
	if got := names(t, m.judge(Judge{}), "/"); len(got) > 0 {
		t.Errorf("lost right after activation: %q", got)
	}
	for _, name := range []string{"machines", "outer"} {
		if err := os.Rename(m.root()+"/var/lib/"+name, m.root()+"/opt-"+name); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := names(t, m.judge(Judge{}), "/"), []string{"/opt-machines/a", "/opt-outer/in/deep/b"}; !slices.Equal(got, want) {
		t.Errorf("lost %q, want %q", got, want)
	}
}
