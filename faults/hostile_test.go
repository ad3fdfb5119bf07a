package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/faults/tracer"
	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/mounts"
)

// secret is in the files that nobody may reach.
const secret = "top secret"

// canary is made in the root, in the store, and outside of both.
var canary = []string{
	"dir d 0700 0:0", "file d/e 0600 0:0 " + secret, "file f 0600 0:0 " + secret, "file s 4755 0:0 setuid", "dir e 0700 0:0",
	"file e/x 0600 0:0 " + secret,
}

// planted is what a user has left somewhere, and the entry that meets it.
type planted struct {
	name  string
	tree  []string // below the root; OUTSIDE is a path, of the canary that lies in neither
	entry string   // its fields
	file  bool
	owner string // whose the directories are, see [owners]
}

// owners are whose directories the plants lie in: root's, into which a service of
// root's has put them; the user's own, on both sides; and one that is everybody's,
// with the sticky bit, where fs.protected_* have a say (proc_sys_fs(5)).
var owners = []string{"root", "user", "sticky"}

// ways are the kinds of entries.
var ways = []struct {
	name, fields string
	file         bool
}{
	{"dir", "", false},
	{"dir-owned", `, "uid": 1000, "gid": 100, "mode": "0777"`, false},
	{"file", "", true},
	{"file-owned", `, "uid": 1000, "gid": 100, "mode": "0666"`, true},
	{"symlink", `, "how": "symlink"`, true},
	{"sync", `, "how": "sync"`, true},
}

// leads are where a planted link leads: to the canary for a directory, for a
// file. UP is the way from where it lies to the top of the root or the store.
var leads = []struct{ name, directory, file string }{
	{"outside", "OUTSIDE/d", "OUTSIDE/f"},
	{"beside", "UP/out/d", "UP/out/f"},
	{"to-new", "UP/out/new", "UP/out/new"},
	{"magic", "/proc/self/rootOUTSIDE/d", "/proc/self/rootOUTSIDE/f"},
	{"loop", "e", "e"},
	{"up", "..", ".."},
}

// plantings crosses kinds of entries, places of links and where they lead.
func plantings() (cases []planted) {
	places := []struct{ name, link, other, path string }{
		{"source", "persist/home/ada/e", "home/ada", "/home/ada/e"},
		{"source-parent", "persist/home/ada", "home", "/home/ada/e"},
		{"source-parent-missing", "persist/home/ada", "home", "/home/ada/new/e"},
		{"source-stage", "persist/home/ada/.e.ebb-new", "home/ada", "/home/ada/e"},
		{"target", "home/ada/e", "persist/home/ada", "/home/ada/e"},
		{"target-parent", "home/ada", "persist/home", "/home/ada/e"},
		{"target-parent-missing", "home/ada", "persist/home", "/home/ada/new/e"},
		{"target-stage", "home/ada/.e.ebb-new", "persist/home/ada", "/home/ada/e"},
	}
	for _, w := range ways {
		for _, p := range places {
			for _, l := range leads {
				to := l.directory
				if w.file && !strings.Contains(p.name, "parent") {
					to = l.file
				}
				to = strings.ReplaceAll(to, "UP", strings.Repeat("../", strings.Count(strings.TrimPrefix(p.link, "persist/"), "/"))+".")
				tree := []string{"dir home", "dir persist/home", "link " + p.link + " " + to}
				if strings.HasPrefix(p.name, "target") {
					tree = append(tree, otherSide("persist"+p.path, w.file))
				}
				cases = append(cases, planted{
					name: w.name + "/" + p.name + "/" + l.name, tree: tree, file: w.file,
					entry: fmt.Sprintf(`{"path": %q%s}`, p.path, w.fields),
				})
			}
		}
	}
	return append(cases, wrongKinds()...)
}

func otherSide(path string, file bool) string {
	if file {
		return "file " + path + " 0644 0:0 kept"
	}
	return "dir " + path
}

// wrongKinds are things of other kinds than the entry's, and hard links.
func wrongKinds() (cases []planted) {
	for _, w := range ways {
		for _, kind := range []string{"fifo", "socket", "char", "block", "whiteout", "file", "dir", "hardlink"} {
			for _, place := range []string{"persist/home/ada/e", "persist/home/ada", "home/ada/e", "home/ada", "home/ada/.e.ebb-new", "persist/home/ada/.e.ebb-new"} {
				spec := kind + " " + place
				if kind == "hardlink" {
					if spec += " out/f"; strings.HasPrefix(place, "persist") {
						spec = kind + " " + place + " persist/out/f"
					}
				}
				cases = append(cases, planted{
					name: w.name + "/" + kind + "/" + place, tree: []string{"dir home", "dir persist/home", spec}, file: w.file,
					entry: fmt.Sprintf(`{"path": "/home/ada/e"%s}`, w.fields),
				})
			}
		}
	}
	return cases
}

// plant makes the tree, with what testenv.Tree does not know.
func (c *planted) plant(t *testing.T, root, outside string) {
	t.Helper()
	for _, dir := range []string{"", "persist/"} {
		for _, spec := range canary {
			kind, rest, _ := strings.Cut(spec, " ")
			testenv.Tree(t, root, kind+" "+dir+"out/"+rest)
		}
	}
	kinds := map[string]struct {
		mode   uint32
		device uint64
	}{
		"socket": {unix.S_IFSOCK, 0}, "char": {unix.S_IFCHR, unix.Mkdev(1, 5)}, "block": {unix.S_IFBLK, unix.Mkdev(7, 0)},
		"whiteout": {unix.S_IFCHR, 0},
	}
	for _, spec := range c.tree {
		spec = strings.ReplaceAll(spec, "OUTSIDE", outside)
		kind, path, _ := strings.Cut(spec, " ")
		if k, special := kinds[kind]; special {
			testenv.Tree(t, root, "dir "+path[:strings.LastIndexByte(path, '/')])
			require(t, unix.Mknod(root+"/"+path, k.mode|0o666, int(k.device)))
			continue
		}
		testenv.Tree(t, root, spec)
	}
	c.giveAway(t, root)
}

// giveAway makes the homes, and what was planted in them, the user's. A hard link
// stays whose the file is.
func (c *planted) giveAway(t *testing.T, root string) {
	t.Helper()
	if c.owner != "user" && c.owner != "sticky" {
		return
	}
	for _, home := range []string{root + "/home/ada", root + "/persist/home/ada"} {
		require(t, filepath.WalkDir(home, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				if path == home && errors.Is(err, fs.ErrNotExist) {
					err = nil
				}
				return err
			}
			if c.isHardLink() && e.Type().IsRegular() {
				return nil
			}
			return os.Lchown(path, 1000, 100)
		}))
		if info, err := os.Lstat(home); c.owner == "sticky" && err == nil && info.IsDir() {
			require(t, errors.Join(os.Lchown(home, 0, 0), os.Chmod(home, 0o777|fs.ModeSticky)))
		}
	}
}

// hostile is the ground: a root and a store in it.
type hostile struct {
	*machine
	outside string
	// fill mounts an empty root and an empty store.
	fill func(t *testing.T)
}

// prepare makes the ground of a case, in a namespace of its own.
func (h *hostile) prepare(t *testing.T, c *planted) {
	t.Helper()
	h.fill(t)
	require(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
	c.plant(t, h.path("sysroot"), h.outside)
	kinds := []string{c.entry, ""}
	if c.file {
		slices.Reverse(kinds)
	}
	directories := strings.Trim(kinds[0]+`, {"path": "/zz-good"}`, ", ")
	require(t, os.WriteFile(h.config, fmt.Appendf(nil,
		`{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [%s], "files": [%s]}}}`, directories, kinds[1]), 0o644))
	h.boot()
}

// canaries takes stock of all that must stay as it is.
func (h *hostile) canaries(t *testing.T) testenv.Inventory {
	t.Helper()
	all := testenv.Inventory{}
	for _, dir := range []string{h.outside, h.path("sysroot/out"), h.path("sysroot/persist/out")} {
		for path, text := range testenv.Fingerprint(t, dir) {
			var st unix.Stat_t
			require(t, unix.Lstat(dir+"/"+path, &st))
			all[dir+"/"+path] = fmt.Sprintf("%s inode=%d", text, st.Ino)
		}
	}
	return all
}

// watch has the kernel tell when a canary that was open for writing is closed,
// written to or not: IN_CLOSE_WRITE, inotify(7). What it returns says which were.
func (h *hostile) watch(t *testing.T) (written func() string) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	names := map[int32]string{}
	for path, text := range h.canaries(t) {
		if strings.HasPrefix(text, "file ") {
			watch, err := unix.InotifyAddWatch(fd, path, unix.IN_CLOSE_WRITE)
			require(t, err)
			names[int32(watch)] = path
		}
	}
	return func() (found string) {
		events := make([]byte, 4096)
		n, err := unix.Read(fd, events)
		if errors.Is(err, unix.EAGAIN) {
			return ""
		}
		require(t, err)
		for ; n >= unix.SizeofInotifyEvent; n -= unix.SizeofInotifyEvent { // of files, without names
			found += "open for writing: " + names[int32(binary.NativeEndian.Uint32(events))] + "\n"
			events = events[unix.SizeofInotifyEvent:]
		}
		return found
	}
}

// escapes says what a run has reached that it must not: the canary tree is
// another, is mounted, is mounted on, or its secrets are elsewhere.
func (h *hostile) escapes(t *testing.T, c *planted, before testenv.Inventory, table []string) (found string) {
	t.Helper()
	found = before.Diff(h.canaries(t))
	for _, line := range h.mounts(t) {
		fields := strings.Fields(line)
		isEntry := strings.HasPrefix(fields[1], h.path("sysroot/home/")) || fields[1] == h.path("sysroot/zz-good")
		isOut := strings.Contains(fields[0], "/out") || strings.Contains(fields[0], "outside")
		if !slices.Contains(table, line) && (!isEntry || isOut) {
			found += "mounted: " + line + "\n"
		}
	}
	for _, dir := range []string{"sysroot/home", "sysroot/persist/home"} {
		for path, text := range testenv.Fingerprint(t, h.path(dir)) {
			if !c.isHardLink() && strings.Contains(text, secretSum) {
				found += "a secret: " + dir + "/" + path + "\n"
			}
		}
	}
	return found
}

// isHardLink: the file has the user's name as much as root's, and may be copied
// with the owner and the mode that it has.
func (c *planted) isHardLink() bool { return strings.HasPrefix(c.tree[len(c.tree)-1], "hardlink") }

// attack has ebb meet the case, twice, and copy back.
func (h *hostile) attack(t *testing.T, c *planted, run func(*testing.T, *tracer.Command) *tracer.Result) (escapes string) {
	t.Helper()
	h.prepare(t, c)
	before, table, written := h.canaries(t), h.mounts(t), h.watch(t)
	for n, command := range []string{"mount", "mount", "sync"} {
		r := run(t, h.ebb(command))
		if escapes = h.escapes(t, c, before, table) + written(); escapes != "" {
			return escapes
		}
		if r.Status != 0 && !strings.Contains(r.Output, "/home/ada") {
			t.Errorf("%s: status %d without a word of the entry: %s", command, r.Status, r.Output)
		}
		if n == 0 && !strings.Contains(strings.Join(h.mounts(t), "\n"), h.path("sysroot/zz-good")+" ") {
			t.Errorf("the other entry is not in place: %s", r.Output)
		}
		if command == "mount" {
			h.honest(t, r)
		}
	}
	return ""
}

// honest demands that the status is 0 if every entry is in place and only then,
// and that the record gives a reason for each that is not.
func (h *hostile) honest(t *testing.T, r *tracer.Result) {
	t.Helper()
	record := h.record(t)
	if record == nil || record.Mount == nil || len(record.Mount.Entries) != 2 {
		t.Fatalf("record %+v", record)
	}
	missing := 0
	for _, e := range record.Mount.Entries {
		switch {
		case e.OK() && !h.isThere(t, e):
			t.Errorf("%s is said to be %s and is not: %s", e.Path, e.State, r.Output)
		case !e.OK() && e.Reason == "":
			t.Errorf("%s is %s, without a reason", e.Path, e.State)
		}
		if !e.OK() {
			missing++
		}
	}
	if (r.Status == 0) != (missing == 0) {
		t.Errorf("status %d, %d entries are missing", r.Status, missing)
	}
}

// isThere looks at the place of an entry.
func (h *hostile) isThere(t *testing.T, e mounts.EntryResult) bool {
	t.Helper()
	at := h.path("sysroot" + e.Path)
	switch e.How {
	case "symlink":
		to, err := os.Readlink(at)
		return err == nil && to == "/persist"+e.Path
	case "sync":
		here, err := os.ReadFile(at)
		there, otherErr := os.ReadFile(h.path("sysroot/persist" + e.Path))
		return e.State == mounts.Waiting || err == nil && otherErr == nil && string(here) == string(there)
	}
	return slices.ContainsFunc(h.mounts(t), func(line string) bool { return strings.Contains(line, " "+at+" ") })
}

// secretSum is how a fingerprint shows a file with the secret in it.
const secretSum = "size=10 sha256="

func newHostile(t *testing.T, fill func(t *testing.T, h *hostile)) *hostile {
	t.Helper()
	h := &hostile{machine: newMachine(t, &disk{Fixture: &testenv.Fixture{Dir: "/nonexistent", Devices: []string{"/nonexistent"}}}, "")}
	h.outside = h.path("outside")
	testenv.Tree(t, h.dir, "dir outside")
	testenv.Tree(t, h.outside, canary...)
	h.fill = func(t *testing.T) { fill(t, h) }
	return h
}

// onTmpfs is a root and a store that are a tmpfs each.
func onTmpfs(t *testing.T, h *hostile) {
	t.Helper()
	require(t, unix.Mount("root", h.path("sysroot"), "tmpfs", 0, "mode=0755"))
	require(t, os.Mkdir(h.path("sysroot/persist"), 0o755))
	require(t, unix.Mount("store", h.path("sysroot/persist"), "tmpfs", 0, "mode=0755"))
}

// protections are the sysctls of fs.protected_*: as in an initrd, where nobody
// has set them, and as on a running Debian.
var protections = []struct {
	name   string
	values map[string]string
}{
	{"off", map[string]string{"symlinks": "0", "hardlinks": "0", "regular": "0", "fifos": "0"}},
	{"on", map[string]string{"symlinks": "1", "hardlinks": "1", "regular": "2", "fifos": "1"}},
}

// setProtections sets sysctls, which are those of the whole machine, and puts
// them back. Only one test at a time does that.
func setProtections(t *testing.T, values map[string]string) {
	t.Helper()
	lock, err := os.OpenFile(os.TempDir()+"/ebb-test-sysctl.lock", os.O_CREATE|os.O_RDWR, 0o600)
	require(t, err)
	require(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	t.Cleanup(func() { lock.Close() })
	for name, value := range values {
		path := "/proc/sys/fs/protected_" + name
		old, err := os.ReadFile(path)
		require(t, err)
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			testenv.Missing(t, testenv.TierRoot, fmt.Errorf("%s cannot be set: %w", path, err))
		}
		t.Cleanup(func() {
			if err := os.WriteFile(path, old, 0); err != nil {
				t.Errorf("%s is not as it was: %v", path, err)
			}
		})
	}
}

func TestHostile(t *testing.T) {
	testenv.IsLong(t, "three of the four grounds of each hostile case")
	for _, p := range protections {
		for _, on := range []string{"tmpfs", "btrfs"} {
			t.Run(p.name+"/"+on, func(t *testing.T) {
				testenv.Need(t, testenv.TierBtrfs)
				setProtections(t, p.values)
				h := newHostile(t, onTmpfs)
				if on == "btrfs" {
					d := newDisk(t)
					h.fill = func(t *testing.T) { onBtrfs(t, h, d) }
				}
				count := 0
				for i, c := range plantings() {
					// In short every case runs on one of the four grounds.
					if !isLong() && i%4 != len(p.name+on)%4 {
						continue
					}
					for n, owner := range owners {
						// and in one of the three kinds of directories, by turns.
						if !isLong() && n != (i/4+seed())%len(owners) {
							continue
						}
						c.owner = owner
						count++
						t.Run(owner+"/"+c.name, func(t *testing.T) {
							defer inNamespace(t)()
							if escapes := h.attack(t, &c, func(t *testing.T, c *tracer.Command) *tracer.Result { return run(t, c) }); escapes != "" {
								t.Errorf("reached:\n%s", escapes)
							}
						})
					}
				}
				t.Logf("%d hostile cases", count)
			})
		}
	}
}

// onBtrfs is a root and a store that are a subvolume each.
func onBtrfs(t *testing.T, h *hostile, d *disk) {
	t.Helper()
	d.clear(t)
	testenv.Tree(t, d.Dir, "subvolume @", "subvolume @persist", "dir @/persist")
	require(t, unix.Mount(d.Device(), h.path("sysroot"), "btrfs", 0, "subvol=@"))
	require(t, unix.Mount(d.Device(), h.path("sysroot/persist"), "btrfs", 0, "subvol=@persist"))
}

// Who looks on sees a canary that was open for writing, without a byte written.
func TestHostileSeesOpenFiles(t *testing.T) {
	h := newHostile(t, onTmpfs)
	defer inNamespace(t)()
	h.prepare(t, &planted{tree: []string{"dir home"}, entry: `{"path": "/e"}`, owner: "root"})
	written := h.watch(t)
	for flags, want := range map[int]bool{os.O_RDONLY: false, os.O_WRONLY: true, os.O_RDWR: true} {
		for _, path := range []string{h.outside + "/f", h.path("sysroot/out/d/e"), h.path("sysroot/persist/out/s")} {
			file, err := os.OpenFile(path, flags, 0)
			require(t, err)
			require(t, file.Close())
			if seen := written(); want != strings.Contains(seen, path) {
				t.Errorf("%s was open with %#x, and is seen: %q", path, flags, seen)
			}
		}
	}
}

// What looks on sees: the same program made weak escapes.
func TestHostileSees(t *testing.T) {
	testenv.Need(t, testenv.TierBtrfs)
	h := newHostile(t, onTmpfs)
	escapes, tried := 0, 0
	for _, c := range plantings() {
		if !strings.Contains(strings.Join(c.tree, " "), "link ") || !isLong() && escapes >= 25 {
			continue
		}
		tried++
		func() {
			defer inNamespace(t)()
			h.prepare(t, &c)
			before, table := h.canaries(t), h.mounts(t)
			command := h.ebb("mount")
			command.FollowLinks = true
			trace(t, command, func(*tracer.Call) tracer.Fault { return tracer.Fault{} })
			if h.escapes(t, &c, before, table) != "" {
				escapes++
			}
		}()
	}
	t.Logf("weak, %d of %d cases escape", escapes, tried)
	if escapes < 25 {
		t.Errorf("%d escapes are seen, which is too few to trust the others", escapes)
	}
}
