package roots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// disk is a file system with a live root and an archive.
type disk struct {
	*testenv.Fixture
	t testing.TB
}

func newDisk(t testing.TB) *disk {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "subvolume @blank", "subvolume @persist", "file @persist/letter 0600 0:0 dear", "dir @roots 0700 0:0")
	return &disk{f, t}
}

// archive makes an archived root of that number, with a meta.json that knows it.
func (d *disk) archive(number uint64, trees ...string) {
	d.t.Helper()
	dir := "@roots/" + archive.DirectoryName(number)
	specs := []string{"dir " + dir + " 0700 0:0", "subvolume " + dir + "/root", "file " + dir + "/root/old 0644 0:0 old"}
	for _, tree := range trees {
		kind, rest, _ := strings.Cut(tree, " ")
		specs = append(specs, kind+" "+dir+"/root/"+rest)
	}
	testenv.Tree(d.t, d.Dir, specs...)
	d.describe(number)
	d.setReadOnly(dir+"/root", true)
}

func (d *disk) setReadOnly(path string, readOnly bool) {
	d.t.Helper()
	// What is open is not cleaned up.
	dir, err := os.Open(d.Path(path))
	if err != nil {
		d.t.Fatal(err)
	}
	defer dir.Close()
	if err := btrfs.SetReadOnly(int(dir.Fd()), readOnly); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) info(path string) btrfs.SubvolumeInfo {
	d.t.Helper()
	dir, err := os.Open(d.Path(path))
	if err != nil {
		d.t.Fatal(err)
	}
	defer dir.Close()
	info, err := btrfs.Info(int(dir.Fd()))
	if err != nil {
		d.t.Fatal(err)
	}
	return info
}

// describe writes the meta.json that a rollback would have written.
func (d *disk) describe(number uint64) {
	d.t.Helper()
	dir := "@roots/" + archive.DirectoryName(number)
	info := d.info(dir + "/root")
	meta := &archive.Info{Sequence: number, Archived: daysAgo(int(100 - number)), Subvolumes: []archive.Member{{Name: "root", Path: "@", Fresh: btrfs.UUID{1}, Old: info.UUID}}}
	data, err := meta.Marshal()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.Path(dir, "meta.json"), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// open begins a removal on the disk.
func (d *disk) open(protected ...Protected) *Remover {
	d.t.Helper()
	r := &Remover{Protected: protected, Members: []string{"root"}, Announce: func(format string, a ...any) { d.t.Logf(format, a...) }}
	if err := r.Open(d.Open("."), "@roots"); err != nil {
		d.t.Fatal(err)
	}
	return r
}

// subvolumes returns the paths of all subvolumes but the top level.
func (d *disk) subvolumes() string {
	d.t.Helper()
	list, err := btrfs.List(d.Open("."))
	if err != nil {
		d.t.Fatal(err)
	}
	var paths []string
	for _, s := range list[1:] {
		path, err := list.Path(s.ID)
		if err != nil {
			path = s.Name
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, " ")
}

func TestDelete(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "subvolume var/lib/machines", "subvolume var/lib/machines/inner", "dir var/lib/docker", "subvolume var/lib/docker/layer")
	d.setReadOnly("@roots/000001/root/", false)
	d.setReadOnly("@roots/000001/root/var/lib/docker/layer", true)
	d.setReadOnly("@roots/000001/root/var/lib/machines", true)
	d.setReadOnly("@roots/000001/root/", true)
	d.archive(2)
	if err := SetPin(d.Open("."), "@roots", 1, "why"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second run finds nothing to do
		r := d.open()
		if err := r.Trash(1, false); err != nil {
			var gone *NotThereError
			if !errors.As(err, &gone) {
				t.Fatal(err)
			}
		}
		if _, err := r.EmptyTrash(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if got, want := d.subvolumes(), "@ @blank @persist @roots/000002/root"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for _, gone := range []string{"@roots/000001", "@roots/.trash/000001"} {
		if _, err := os.Lstat(d.Path(gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
}

// A removal that was cut off anywhere is finished by the next.
func TestEmptyTrashGoesOn(t *testing.T) {
	d := newDisk(t)
	d.archive(1, "subvolume a", "subvolume b", "subvolume b/c")
	r := d.open()
	if err := r.Trash(1, false); err != nil {
		t.Fatal(err)
	}
	r.Close()
	// Some of it is gone already, and so is the file that told the names.
	d.setReadOnly("@roots/.trash/000001/root", false)
	if err := btrfs.DeleteByName(d.Open("@roots/.trash/000001/root/b"), "c"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.Path("@roots/.trash/000001/meta.json")); err != nil {
		t.Fatal(err)
	}
	testenv.Tree(t, d.Dir, "dir @roots/.trash/000007 0700 0:0") // empty: everything in it was deleted
	r = d.open()
	defer r.Close()
	ids, err := r.EmptyTrash()
	if err != nil || len(ids) != 3 {
		t.Fatalf("deleted %v, %v", ids, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if names, err := os.ReadDir(d.Path("@roots/.trash")); err != nil || len(names) != 0 {
		t.Errorf("the trash holds %v, %v", names, err)
	}
}

func TestDeleteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		prepare   func(d *disk)
		protected string
		reason    string
	}{
		"moved in by hand": {func(d *disk) {
			mustRename(d, "@persist", "@roots/000001/persist")
		}, "", "not the subvolume that was archived"},
		"exchanged by hand": {func(d *disk) {
			d.setReadOnly("@roots/000001/root", false)
			mustRename(d, "@roots/000001/root", "@roots/elsewhere")
			mustRename(d, "@persist", "@roots/000001/root")
		}, "", "not the subvolume that was archived"},
		"a link": {func(d *disk) {
			testenv.Tree(d.t, d.Dir, "link @roots/000001/more /etc")
		}, "", "not put there by ebb"},
		"a file": {func(d *disk) {
			testenv.Tree(d.t, d.Dir, "file @roots/000001/notes")
		}, "", "not put there by ebb"},
		"a directory with a subvolume": {func(d *disk) {
			testenv.Tree(d.t, d.Dir, "subvolume @roots/000001/dir/sub")
		}, "", "not put there by ebb"},
		"no meta.json": {func(d *disk) {
			if err := os.Remove(d.Path("@roots/000001/meta.json")); err != nil {
				d.t.Fatal(err)
			}
		}, "", "meta.json"},
		"damaged meta.json": {func(d *disk) {
			if err := os.WriteFile(d.Path("@roots/000001/meta.json"), []byte("{"), 0o600); err != nil {
				d.t.Fatal(err)
			}
		}, "", "meta.json"},
		"mounted":             {func(*disk) {}, "@roots/000001/root", "because"},
		"mounted in part":     {func(*disk) {}, "@roots/000001/root/var/lib", "because"},
		"nested, and mounted": {func(*disk) {}, "@roots/000001/root/nested", "because"},
		"the default subvolume": {func(d *disk) {
			setDefault(d, "@roots/000001/root/nested")
		}, "", "default subvolume"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			d.archive(1, "subvolume nested")
			test.prepare(d)
			var protected []Protected
			if test.protected != "" {
				protected = []Protected{{test.protected, "because"}}
			}
			before := d.subvolumes()
			r := d.open(protected...)
			defer r.Close()
			err := r.Trash(1, false)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v, want %q", err, test.reason)
			}
			// The same for what has come into the trash in another way.
			testenv.Tree(t, d.Dir, "dir @roots/.trash 0700 0:0")
			if test.reason != "meta.json" {
				mustRename(d, "@roots/000001", "@roots/.trash/000001")
				r.Protected = nil
				if test.protected != "" {
					r.Protected = []Protected{{strings.Replace(test.protected, "@roots/", "@roots/.trash/", 1), "because"}}
				}
				if err := r.readFileSystem(); err != nil {
					t.Fatal(err)
				}
				if ids, err := r.EmptyTrash(); err == nil || len(ids) != 0 {
					t.Errorf("from the trash: deleted %v, %v", ids, err)
				}
				mustRename(d, "@roots/.trash/000001", "@roots/000001")
			}
			if after := d.subvolumes(); after != before {
				t.Errorf("before %s, after %s", before, after)
			}
		})
	}
}

func TestDeleteDamaged(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	if err := os.WriteFile(d.Path("@roots/000001/meta.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := d.open()
	defer r.Close()
	if err := r.Trash(1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.EmptyTrash(); err != nil {
		t.Fatal(err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEmptyTrashLeavesStrangers(t *testing.T) {
	d := newDisk(t)
	testenv.Tree(t, d.Dir, "subvolume @roots/.trash/mine", "dir @roots/.trash/000003 0700 0:0", "subvolume @roots/.trash/000003/photos")
	before := d.subvolumes()
	r := d.open()
	defer r.Close()
	if ids, err := r.EmptyTrash(); err == nil || len(ids) != 0 || d.subvolumes() != before {
		t.Errorf("deleted %v, %v", ids, err)
	}
}

// What a user made lies deeper than the kernel can name.
func TestDeleteBeyondPathMax(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	d.setReadOnly("@roots/000001/root", false)
	at, err := unix.Open(d.Path("@roots/000001/root"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	component := strings.Repeat("d", 250)
	for level := range 40 {
		make := func() error { return unix.Mkdirat(at, component, 0o755) }
		if level%10 == 9 {
			make = func() error { return btrfs.CreateSubvolume(at, component) }
		}
		if err := make(); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, component, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(at)
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	unix.Close(at)
	d.setReadOnly("@roots/000001/root", true)
	r := d.open()
	defer r.Close()
	if err := r.Trash(1, false); err != nil {
		t.Fatal(err)
	}
	ids, err := r.EmptyTrash()
	if err != nil || len(ids) != 5 {
		t.Errorf("deleted %d, %v", len(ids), err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist"; got != want {
		t.Errorf("%d bytes of names are left", len(got)-len(want))
	}
}

func TestPruneManyNested(t *testing.T) {
	d := newDisk(t)
	var nested []string
	for n := range 300 {
		nested = append(nested, fmt.Sprintf("subvolume layers/%03d", n))
	}
	d.archive(1, nested...)
	d.archive(2)
	d.archive(3)
	r := d.open()
	defer r.Close()
	list, err := List(d.Open("."), "@roots")
	if err != nil {
		t.Fatal(err)
	}
	keep := config.Keep{Count: 1, Days: 98}
	verdicts := Retain(list, keep, Clock{Now: today, LastSeen: daysAgo(1)}, "now")
	report, err := r.Prune(context.Background(), verdicts, keep)
	if err != nil || report.Subvolumes != 302 || len(report.Deleted) != 2 || report.Deleted[0] != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist @roots/000003/root"; got != want {
		t.Errorf("got %s", got)
	}
	if err := r.RememberClock(Clock{Now: today}); err != nil || !archive.LastClock(d.Open("@roots")).Equal(today) {
		t.Errorf("the clock was not remembered: %v", err)
	}
}

// Too little space: young roots go, the oldest first, and no more than needed.
func TestPruneForSpace(t *testing.T) {
	d := newDisk(t)
	for number := uint64(1); number <= 5; number++ {
		d.archive(number)
		d.setReadOnly("@roots/"+archive.DirectoryName(number)+"/root", false)
		data := make([]byte, 24<<20)
		for i := range data {
			data[i] = byte(i * int(number) >> 3)
		}
		if err := os.WriteFile(d.Path("@roots", archive.DirectoryName(number), "root/big"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	top := d.Open(".")
	if err := btrfs.Sync(top); err != nil {
		t.Fatal(err)
	}
	before, err := FreePercent(top)
	if err != nil {
		t.Fatal(err)
	}
	list, err := List(top, "@roots")
	if err != nil {
		t.Fatal(err)
	}
	keep := config.Keep{Count: 2, Days: 1000, MinFreePercent: before + 12}
	r := d.open()
	defer r.Close()
	report, err := r.Prune(context.Background(), Retain(list, keep, Clock{Now: today}, "now"), keep)
	if err != nil || fmt.Sprint(report.Deleted) != "[1 2]" || report.Short {
		t.Errorf("free before %d %%: %+v, %v", before, report, err)
	}
	// What is wanted cannot be had: the newest stay, and it is said.
	keep.MinFreePercent = 99
	if list, err = List(top, "@roots"); err != nil {
		t.Fatal(err)
	}
	report, err = r.Prune(context.Background(), Retain(list, keep, Clock{Now: today}, "now"), keep)
	if err != nil || fmt.Sprint(report.Deleted) != "[3]" || !report.Short {
		t.Errorf("%+v, %v", report, err)
	}
	if got, want := d.subvolumes(), "@ @blank @persist @roots/000004/root @roots/000005/root"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestOpenLocks(t *testing.T) {
	d := newDisk(t)
	first := d.open()
	second := &Remover{}
	if err := second.Open(d.Open("."), "@roots"); err == nil || !strings.Contains(err.Error(), "another ebb") {
		t.Errorf("a second one: %v", err)
	}
	first.Close()
	if err := second.Open(d.Open("."), "@roots"); err != nil {
		t.Error(err)
	}
	second.Close()
}

func TestPin(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	top := d.Open(".")
	var gone *NotThereError
	if err := SetPin(top, "@roots", 2, ""); !errors.As(err, &gone) {
		t.Errorf("pin what is not there: %v", err)
	}
	for _, step := range []struct {
		work func() error
		want string
	}{
		{func() error { return SetPin(top, "@roots", 1, " before the upgrade\n") }, "before the upgrade"},
		{func() error { return SetPin(top, "@roots", 1, "second thoughts") }, "second thoughts"},
		{func() error { return RemovePin(top, "@roots", 1) }, "-"},
		{func() error { return RemovePin(top, "@roots", 1) }, "-"},
	} {
		if err := step.work(); err != nil {
			t.Fatal(err)
		}
		list, err := List(top, "@roots")
		if err != nil || len(list) != 1 || list[0].Damage != "" {
			t.Fatalf("%+v, %v", list, err)
		}
		got := "-"
		if list[0].Pin != nil {
			got = list[0].Pin.Why
		}
		if got != step.want {
			t.Errorf("pinned %q, want %q", got, step.want)
		}
	}
}

func mustRename(d *disk, from, to string) {
	d.t.Helper()
	if err := os.Rename(d.Path(from), d.Path(to)); err != nil {
		d.t.Fatal(err)
	}
}

// setDefault makes a subvolume the one that is mounted without subvol=.
func setDefault(d *disk, path string) {
	d.t.Helper()
	info := d.info(path)
	// BTRFS_IOC_DEFAULT_SUBVOL, _IOW(0x94, 19, __u64)
	const request = 1<<30 | 8<<16 | 0x94<<8 | 19
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.Open(".")), request, uintptr(unsafe.Pointer(&info.ID))); errno != 0 {
		d.t.Fatal(errno)
	}
}
