package doctor

import (
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
)

// release is the version of a kernel: 6.12.37.
type release [3]int

func (r release) String() string { return format.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

func (r release) less(o release) bool {
	for i := range r {
		if r[i] != o[i] {
			return r[i] < o[i]
		}
	}
	return false
}

// parseRelease reads what uname -r says: numbers, and whatever a distribution
// puts behind them.
func parseRelease(text string) (r release, ok bool) {
	numbers := strings.SplitN(text, ".", len(r))
	for i, n := range numbers {
		digits := n
		if end := strings.IndexFunc(n, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
			digits = n[:end]
		}
		var err error
		if r[i], err = strconv.Atoi(digits); err != nil {
			return r, i >= 2
		}
		if digits != n {
			return r, i > 0
		}
	}
	return r, len(numbers) >= 2
}

// bug is one that the kernels from From up to but without To have.
type bug struct {
	from, to release
	problem  string
}

// bugs of btrfs that touch what ebb does: subvolumes that are renamed,
// exchanged and deleted beside files that are fsynced, and power cuts. By the
// changelogs of the stable kernels, where every fix stands that is dated here.
func bugs() []bug {
	return []bug{
		{release{}, release{4, 7, 0}, "btrfs cannot exchange two subvolumes: no rollback is possible"},
		{release{4, 7, 0}, release{5, 4, 8}, "an exchange of subvolumes can deadlock, or corrupt memory"},
		{release{5, 5, 0}, release{5, 12, 0}, "the calls that bring entries in are not complete; an interrupted deletion is not taken up again"},
		{release{6, 12, 0}, release{6, 12, 37}, "after a power cut a file that was renamed while its directory was being logged can be lost"},
		{release{6, 12, 37}, release{6, 12, 43}, "after a power cut the file system may not mount: a log with an unlinked file cannot be replayed"},
		{release{6, 12, 43}, release{6, 12, 94}, "after a power cut a directory may be missing although it was fsynced, or the file system may not mount: rmdir and fsync of an open directory"},
		{release{6, 15, 2}, release{6, 16, 1}, "after a power cut the file system may not mount: its log cannot be replayed, on many machines"},
	}
}

// judgeKernel says what is known to be wrong with a kernel, "" if nothing.
func judgeKernel(uname string) (problem string, fixed release) {
	running, ok := parseRelease(uname)
	if !ok {
		return "", fixed
	}
	for _, b := range bugs() {
		if !running.less(b.from) && running.less(b.to) {
			return b.problem, b.to
		}
	}
	return "", fixed
}
