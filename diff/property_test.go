package diff

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// user changes a root at random.
type user struct {
	t          *testing.T
	root       string
	btrfs      bool
	random     *rand.Rand
	count      int
	files      []string // below the root, also those of activation
	dirs       []string // directories that can be renamed, also those of activation
	all        []string // directories
	held       []*os.File
	touched    []string // paths of files that changed, but not in what they hold
	subvolumes int
}

func newUser(t *testing.T, m *machine, seed uint64) *user {
	u := &user{t: t, root: m.root(), btrfs: m.fixture != nil, random: rand.New(rand.NewPCG(seed, 1))}
	for i := range 40 {
		u.files = append(u.files, fmt.Sprintf("etc/conf-%d", i))
		dir := fmt.Sprintf("var/lib/service-%d", i)
		u.files = append(u.files, dir+"/state")
		u.all, u.dirs = append(u.all, dir), append(u.dirs, dir)
	}
	u.all = append(u.all, "etc", "home/ann", "var", "tmp", ".")
	return u
}

func (u *user) path(rel string) string { return filepath.Join(u.root, rel) }

func (u *user) must(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

// fresh is a name that nothing has yet, often a bad one.
func (u *user) fresh() string {
	u.count++
	shapes := []string{"f%d", "with space %d", "new\nline%d", "\x1b[31mred%d", "\xff\xfe%d", "${x}''\"%d", "-rf%d", "*%d", ".hidden%d", "日本%d"}
	name := fmt.Sprintf(shapes[u.random.IntN(len(shapes))], u.count)
	return filepath.Join(u.all[u.random.IntN(len(u.all))], name)
}

func (u *user) pick(list []string) string { return list[u.random.IntN(len(list))] }

func (u *user) forget(list *[]string, rel string) {
	*list = slices.DeleteFunc(*list, func(other string) bool { return other == rel })
}

// change makes one change.
func (u *user) change() {
	u.t.Helper()
	rel := u.fresh()
	switch u.random.IntN(14) {
	case 0, 1, 2:
		u.must(os.WriteFile(u.path(rel), []byte(rel), 0o644))
		u.files = append(u.files, rel)
	case 3:
		u.must(os.Mkdir(u.path(rel), 0o755))
		u.dirs, u.all = append(u.dirs, rel), append(u.all, rel)
	case 4:
		old := u.pick(u.files)
		u.must(os.WriteFile(u.path(old), []byte("changed to "+rel), 0o644))
	case 5:
		old := u.pick(u.files)
		u.touch(old)
		if !u.crosses(os.Rename(u.path(old), u.path(rel))) {
			return
		}
		u.forget(&u.files, old)
		u.files = append(u.files, rel)
	case 6:
		old := u.pick(u.files)
		u.touch(old)
		if !u.crosses(os.Link(u.path(old), u.path(rel))) {
			return
		}
		u.files = append(u.files, rel)
	case 7:
		u.must(os.Symlink("somewhere", u.path(rel)))
	case 8:
		old := u.pick(u.files)
		u.touch(old)
		u.must(os.Remove(u.path(old)))
		u.forget(&u.files, old)
	case 9:
		u.must(os.Chmod(u.path(u.pick(u.files)), 0o600))
	case 10:
		u.renameDirectory(rel)
	case 11:
		u.holdDeleted(rel)
	case 12:
		u.must(os.WriteFile(u.path(u.pick(u.files))+"~", []byte("a backup"), 0o644))
	case 13:
		u.subvolume(rel)
	}
}

// crosses takes an error, unless it is that the two are in different subvolumes.
func (u *user) crosses(err error) (done bool) {
	u.t.Helper()
	if errors.Is(err, unix.EXDEV) {
		return false
	}
	u.must(err)
	return true
}

// renameDirectory moves a directory with all in it. The change
// times of what is in it stay as they are.
func (u *user) renameDirectory(to string) {
	if len(u.dirs) == 0 {
		return
	}
	from := u.pick(u.dirs)
	if to == from || len(to) > len(from) && to[:len(from)+1] == from+"/" {
		return
	}
	if unix.Rename(u.path(from), u.path(to)) != nil {
		return // a subvolume in it, or over its boundary
	}
	for _, list := range []*[]string{&u.files, &u.dirs, &u.all} {
		for i, rel := range *list {
			if rel == from || len(rel) > len(from) && rel[:len(from)+1] == from+"/" {
				(*list)[i] = to + rel[len(from):]
			}
		}
	}
}

// holdDeleted makes a file that has no name any more, and is still open.
func (u *user) holdDeleted(rel string) {
	file, err := os.Create(u.path(rel))
	u.must(err)
	_, err = file.WriteString("nobody finds this")
	u.must(err)
	u.must(os.Remove(u.path(rel)))
	u.held = append(u.held, file)
}

func (u *user) subvolume(rel string) {
	if !u.btrfs || u.random.IntN(4) > 0 {
		return
	}
	u.subvolumes++
	if u.subvolumes == 1 { // later ones would have stubs of others in them
		u.snapshot(rel)
		return
	}
	sub := fmt.Sprintf("home/sub-%d", u.count)
	testenv.Tree(u.t, u.root, "subvolume "+sub)
	u.all = append(u.all, sub)
}

// snapshot makes one of the root in itself: it holds much that is older.
func (u *user) snapshot(rel string) {
	dir, source := testenv.OpenDir(u.t, u.path(filepath.Dir(rel))), testenv.OpenDir(u.t, u.root)
	u.must(btrfs.Snapshot(dir, filepath.Base(rel), source, u.random.IntN(2) == 0))
}

// touch notes that the change time of a file, and of all its other names,
// changes while what it holds does not.
func (u *user) touch(rel string) {
	file, err := os.Stat(u.path(rel))
	u.must(err)
	for _, other := range append(u.files, "etc/conf-1-linked") {
		if info, err := os.Stat(u.path(other)); err == nil && os.SameFile(file, info) {
			u.touched = append(u.touched, "/"+other)
		}
	}
}

func (u *user) logOut() {
	for _, file := range u.held {
		file.Close()
	}
	u.held = nil
}

// What is listed before a reboot is what is gone after it, to the file.
func TestWhatIsListedIsWhatIsLost(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *machine{"btrfs": newBtrfsMachine, "tmpfs": newTmpfsMachine} {
		t.Run(name, func(t *testing.T) {
			m := make(t)
			m.boot()
			listedInAll := 0
			for round := range uint64(12) {
				u := newUser(t, m, round)
				for range 20 + u.random.IntN(200) {
					u.change()
				}
				listed := names(t, m.judge(Judge{All: true}), "/")
				before := inventory(t, m.root())
				u.logOut()
				m.boot()
				lost := gone(before, inventory(t, m.root()))
				compare(t, slices.DeleteFunc(listed, func(path string) bool {
					return slices.Contains(u.touched, path) && !slices.Contains(lost, path)
				}), lost, fmt.Sprintf("round %d", round))
				listedInAll += len(listed)
			}
			if listedInAll < 500 {
				t.Errorf("only %d files were listed in all rounds", listedInAll)
			}
		})
	}
}
