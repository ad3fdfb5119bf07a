package reboot

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
)

// confFiles is how many files activation makes in /etc, and how many
// directories with a file in /var/lib.
const confFiles = 20

// user changes a root at random: a script that does so is written, and what the
// root then has is kept in mind, as far as the next change has to know.
type user struct {
	random     *rand.Rand
	btrfs      bool
	script     strings.Builder
	count      int
	inodes     map[string]int // files, by their paths, and those of one number are one file
	made       []string       // directories that can be moved, also those of activation
	all        []string       // directories
	volumes    []string       // entries and subvolumes: no file can be linked or moved across their bounds
	touched    map[int]bool   // files whose change time is new, but not what they hold
	subvolumes int
}

func newUser(seed uint64, btrfs bool) *user {
	u := &user{
		random: rand.New(rand.NewPCG(seed, 1)), btrfs: btrfs, inodes: map[string]int{}, touched: map[int]bool{},
		all:     []string{"/", "/etc", "/var", "/tmp", "/home", "/root", "/srv/data", "/home/gabriel/.ssh"},
		volumes: []string{"/srv/data", "/home/gabriel/.ssh"},
	}
	for i := range confFiles {
		u.add(fmt.Sprintf("/etc/conf-%d", i))
		dir := fmt.Sprintf("/var/lib/service-%d", i)
		u.add(dir + "/state")
		u.made, u.all = append(u.made, dir), append(u.all, dir)
	}
	return u
}

func (u *user) add(file string) {
	u.count++
	u.inodes[file] = u.count
}

// do adds a line to the script. Paths, which may hold anything, are %s.
func (u *user) do(line string, paths ...string) {
	quoted := make([]any, len(paths))
	for i, p := range paths {
		quoted[i] = "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
	}
	fmt.Fprintf(&u.script, line+"\n", quoted...)
}

// fresh is a path that nothing has yet, often a bad one.
func (u *user) fresh() string {
	u.count++
	shapes := []string{"f%d", "with space %d", "new\nline%d", "\x1b[31mred%d", "\xff\xfe%d", "${x}''\"%d", "-rf%d", "*%d", ".hidden%d", "日本%d"}
	return path.Join(u.pick(u.all), fmt.Sprintf(shapes[u.random.IntN(len(shapes))], u.count))
}

func (u *user) pick(list []string) string { return list[u.random.IntN(len(list))] }

// old is a file that is there.
func (u *user) old() string {
	files := make([]string, 0, len(u.inodes))
	for file := range u.inodes {
		files = append(files, file)
	}
	slices.Sort(files)
	return u.pick(files)
}

// volume is the entry or the subvolume that a path lies in.
func (u *user) volume(p string) string {
	in := ""
	for _, v := range u.volumes {
		if len(v) > len(in) && strings.HasPrefix(p, v+"/") {
			in = v
		}
	}
	return in
}

// change makes one change.
func (u *user) change() {
	to := u.fresh()
	switch u.random.IntN(16) {
	case 0, 1, 2:
		u.do("printf %%s %s > %s", to, to)
		u.add(to)
	case 3:
		u.do("mkdir %s", to)
		u.made, u.all = append(u.made, to), append(u.all, to)
	case 4:
		u.do("echo changed to %s > %s", to, u.old())
	case 5, 6:
		u.linkOrMove(to)
	case 7:
		u.do("ln -s somewhere %s", to)
	case 8:
		old := u.old()
		u.touch(old)
		u.do("rm %s", old)
		delete(u.inodes, old)
	case 9:
		u.do("chmod 0600 %s", u.old())
	case 10:
		u.moveDirectory(to)
	case 11: // a file without a name, but open
		u.do("echo nobody finds this > %s; exec 9< %s; sleep infinity <&9 > /dev/null 2>&1 & exec 9<&-; rm %s", to, to, to)
	case 12:
		u.do("echo a backup > %s", u.old()+"~")
	case 13: // as an editor does
		old := u.old()
		u.touch(old)
		u.do("echo instead, %s > %s; mv %s %s", to, old+".new", old+".new", old)
		u.add(old)
	case 14: // a time that lies
		u.do("printf %%s %s > %s; touch -d @86400 %s", to, to, to)
		u.add(to)
	case 15:
		u.subvolume(to)
	}
}

// linkOrMove gives a file one more name, or another one.
func (u *user) linkOrMove(to string) {
	old := u.old()
	if u.volume(old) != u.volume(to) {
		return
	}
	u.touch(old)
	u.inodes[to] = u.inodes[old]
	if u.random.IntN(2) == 0 {
		u.do("ln %s %s", old, to)
		return
	}
	u.do("mv %s %s", old, to)
	delete(u.inodes, old)
}

// touch notes that the change time of a file is new, while what its other names
// hold is not.
func (u *user) touch(file string) { u.touched[u.inodes[file]] = true }

// moveDirectory moves a directory with all in it. The
// change times of what is in it stay as they are.
func (u *user) moveDirectory(to string) {
	if len(u.made) == 0 {
		return
	}
	from := u.pick(u.made)
	if strings.HasPrefix(to, from+"/") || u.volume(from) != u.volume(to) {
		return
	}
	u.do("mv %s %s", from, to)
	moved := func(p string) string {
		if p == from || strings.HasPrefix(p, from+"/") {
			return to + p[len(from):]
		}
		return p
	}
	for _, list := range [][]string{u.made, u.all, u.volumes} {
		for i := range list {
			list[i] = moved(list[i])
		}
	}
	inodes := map[string]int{}
	for file, number := range u.inodes {
		inodes[moved(file)] = number
	}
	u.inodes = inodes
}

// subvolume makes a nested one. The first is a snapshot of the root, which
// holds much that is older; later ones would have stubs of others in them.
func (u *user) subvolume(to string) {
	if !u.btrfs || u.volume(to) == "/srv/data" || u.volume(to) == "/home/gabriel/.ssh" {
		return
	}
	u.subvolumes++
	if u.subvolumes == 1 {
		u.do("btrfs -q subvolume snapshot / %s", to)
		return
	}
	u.do("btrfs -q subvolume create %s", to)
	u.all, u.volumes = append(u.all, to), append(u.volumes, to)
}

// touchedFiles are the paths of files that may be listed though they hold what
// they held: a name more or less is a change.
func (u *user) touchedFiles() map[string]bool {
	files := map[string]bool{}
	for file, number := range u.inodes {
		if u.touched[number] {
			files[file] = true
		}
	}
	return files
}

// work lets the user make many changes in the machine.
func (m *machine) work(u *user) {
	m.t.Helper()
	for range 100 + u.random.IntN(200) {
		u.change()
	}
	// The baseline's transaction is over some seconds after it, and then renames show.
	r, err := m.RunInput(m.t.Context(), "sync\n"+u.script.String(), "bash", "-eu")
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// What the user has in mind is what is there.
func TestUser(t *testing.T) {
	first, second := newUser(7, true), newUser(7, true)
	for range 500 {
		first.change()
		second.change()
	}
	if first.script.String() != second.script.String() {
		t.Error("one seed makes two scripts")
	}
	if n := len(first.inodes); n < 3*confFiles || first.subvolumes < 2 || len(first.touchedFiles()) == 0 {
		t.Errorf("%d files, %d subvolumes, %d touched", n, first.subvolumes, len(first.touchedFiles()))
	}
}
