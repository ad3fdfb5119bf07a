package keep

import (
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/sys"
)

// User is a unit with processes that have something open below the old place:
// what they write there does not reach the store before they open it anew.
type User struct {
	Unit  string   `json:"unit"` // of the service manager, or the control group
	PIDs  []int    `json:"pids"`
	Name  string   `json:"name"`  // of the first process, comm of proc_pid_comm(5)
	Files []string `json:"files"` // some of what is open
}

// mostFiles bounds what is told of one unit.
const mostFiles = 5

// place is a directory or file by what it was before something was mounted on
// it. Paths in /proc look the same for what is open below the mount and on it.
type place struct {
	path     string
	old, now sys.Status
}

// users looks through all processes for descriptors, working directories,
// programs and mappings that are in the old place. A process that it cannot
// look into, or that ends meanwhile, is passed over.
func (p *place) users(proc string) (users []User) {
	byUnit := map[string]int{}
	for _, name := range namesIn(proc) {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == unix.Getpid() {
			continue
		}
		own := proc + "/" + name
		files := p.openOf(own)
		if len(files) == 0 {
			continue
		}
		unit := unitOf(own)
		i, found := byUnit[unit]
		if !found {
			i = len(users)
			byUnit[unit] = i
			users = append(users, User{Unit: unit, Name: readText(own + "/comm")})
		}
		u := &users[i]
		u.PIDs = append(u.PIDs, pid)
		for _, file := range files {
			if len(u.Files) < mostFiles {
				u.Files = append(u.Files, file)
			}
		}
	}
	return users
}

// namesIn lists a directory, as far as it can be read.
func namesIn(dir string) []string {
	f, err := sys.OpenPath(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := sys.ReadNames(int(f))
	return names
}

// openOf returns what a process has in the old place.
func (p *place) openOf(own string) (files []string) {
	links := []string{"cwd", "root", "exe"}
	for _, dir := range []string{"fd", "map_files"} {
		for _, name := range namesIn(own + "/" + dir) {
			links = append(links, dir+"/"+name)
		}
	}
	for _, link := range links {
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlink(own+"/"+link, buf)
		path := string(buf[:max(n, 0)])
		if err != nil || !within(strings.TrimSuffix(path, " (deleted)"), p.path) || !p.isOld(own+"/"+link) {
			continue
		}
		if len(files) == 0 || files[len(files)-1] != path {
			files = append(files, path)
		}
	}
	return files
}

// isOld looks at what a magic link leads to. Only those get here whose path is
// right, so that no file system is asked that may not answer.
func (p *place) isOld(link string) bool {
	fd, err := unix.Open(link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	status, err := sys.Stat(fd)
	// Services with a mount namespace of their own have other mounts, but the
	// same file system.
	return err == nil && status.Device == p.old.Device &&
		(p.now.Device != p.old.Device || status.MountID == p.old.MountID)
}

// unitOf says which unit a process belongs to, by its control group
// (cgroups(7), systemd.unit(5)).
func unitOf(own string) string {
	group := ""
	for line := range strings.SplitSeq(readText(own+"/cgroup"), "\n") {
		if rest, unified := strings.CutPrefix(line, "0::"); unified {
			group = rest
		}
	}
	unit, manager := "", ""
	for name := range strings.SplitSeq(group, "/") {
		if strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope") {
			if strings.HasPrefix(unit, "user@") {
				manager = strings.TrimSuffix(strings.TrimPrefix(unit, "user@"), ".service")
			}
			unit = name
		}
	}
	switch {
	case unit == "" && group == "":
		return "?"
	case unit == "":
		return group
	case manager != "":
		return format.Sprintf("%s (of user %s)", unit, manager)
	}
	return unit
}

func readText(path string) string {
	data, _ := sys.ReadPath(path, 1<<20)
	return strings.TrimSuffix(string(data), "\n")
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
