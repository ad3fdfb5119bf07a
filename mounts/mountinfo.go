package mounts

import (
	"errors"
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// MountInfo is one line of /proc/PID/mountinfo, see proc_pid_mountinfo(5):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//	(1)(2)(3)   (4)   (5)      (6)      (7)   (8) (9)   (10)         (11)
type MountInfo struct {
	ID           uint64   // (1)
	Parent       uint64   // (2)
	Major, Minor uint32   // (3) st_dev of what lies on it
	Root         string   // (4) the directory of the file system that is its root
	MountPoint   string   // (5) relative to the root of the process
	Options      string   // (6) of this mount
	Optional     []string // (7) shared:N, master:N, ...; (8) is a dash
	Type         string   // (9)
	Source       string   // (10)
	SuperOptions string   // (11) of the file system
}

// ParseMountInfo reads mountinfo.
func ParseMountInfo(text string) ([]MountInfo, error) {
	var mounts []MountInfo
	for line := range strings.Lines(text) {
		m, err := parseMountInfoLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, format.Errorf("mountinfo line %d: %w", len(mounts)+1, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func parseMountInfoLine(line string) (m MountInfo, err error) {
	mount, fileSystem, found := strings.Cut(line, " - ")
	if !found {
		return m, errors.New("no dash")
	}
	f := strings.Split(mount, " ")
	g := strings.Split(fileSystem, " ")
	if len(f) < 6 || len(g) < 3 {
		return m, format.Errorf("%d and %d fields around the dash", len(f), len(g))
	}
	m = MountInfo{
		Root: unescape(f[3]), MountPoint: unescape(f[4]), Options: f[5],
		Type: unescape(g[0]), Source: unescape(g[1]), SuperOptions: g[2],
	}
	if len(f) > 6 {
		m.Optional = f[6:]
	}
	major, minor, _ := strings.Cut(f[2], ":")
	m.ID = number(f[0], 64, &err)
	m.Parent = number(f[1], 64, &err)
	m.Major = uint32(number(major, 32, &err))
	m.Minor = uint32(number(minor, 32, &err))
	return m, err
}

// number reads a decimal number, and keeps the first error.
func number(text string, bits int, err *error) uint64 {
	n, parseErr := strconv.ParseUint(text, 10, bits)
	if parseErr != nil && *err == nil {
		*err = parseErr
	}
	return n
}

// unescape undoes what the kernel (seq_path, mangle) and libmount do to
// blanks, newlines and backslashes: a backslash and three octal digits.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1]) && isOctal(s[i+2]) && isOctal(s[i+3]) {
			out = append(out, s[i+1]<<6|s[i+2]&7<<3|s[i+3]&7)
			i += 3
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// mountInfoLimit bounds what is read of mountinfo, in bytes; the kernel allows
// 100,000 mounts (sysctl fs.mount-max).
const mountInfoLimit = 256 << 20

// ReadMountInfo reads the mounts of this process.
func ReadMountInfo() ([]MountInfo, error) {
	data, err := sys.ReadPath("/proc/self/mountinfo", mountInfoLimit)
	if err != nil {
		return nil, err
	}
	return ParseMountInfo(string(data))
}

// mountTable is mountinfo, read when it is first needed, and once.
type mountTable struct {
	loaded bool
	mounts []MountInfo
	byID   map[uint64]int
	err    error
}

func (t *mountTable) find(id uint64) (MountInfo, error) {
	t.load()
	i, found := t.byID[id]
	switch {
	case t.err != nil:
		return MountInfo{}, t.err
	case !found:
		return MountInfo{}, format.Errorf("mount %d is not in mountinfo", id)
	}
	return t.mounts[i], nil
}

// has reports whether there is a mount at mountPoint that shows the directory
// root of the file system that the mount of is of.
func (t *mountTable) has(mountPoint, root string, of *MountInfo) bool {
	t.load()
	for i := range t.mounts {
		m := &t.mounts[i]
		if m.MountPoint == mountPoint && m.Root == root && m.Major == of.Major && m.Minor == of.Minor {
			return true
		}
	}
	return false
}

func (t *mountTable) load() {
	if t.loaded {
		return
	}
	t.loaded = true
	t.mounts, t.err = ReadMountInfo()
	t.byID = make(map[uint64]int, len(t.mounts))
	for i := range t.mounts {
		t.byID[t.mounts[i].ID] = i
	}
}
