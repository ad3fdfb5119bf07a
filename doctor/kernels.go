package doctor

import (
	"strconv"
	"strings"
)

// release is the version of a kernel: 6.12.37.
type release [3]int

func (r release) less(o release) bool {
	for i := range r {
		if r[i] != o[i] {
			return r[i] < o[i]
		}
	}
	return false
}

// parseRelease reads what uname -r says: numbers, and whatever a distribution
// puts behind them. Some write 6.1.0-37 for whatever stable kernel they have
// built: that is taken for the last one of its series.
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
			if i == 2 && r[2] == 0 && strings.HasPrefix(n, "0-") {
				r[2] = 1 << 30
			}
			return r, i > 0
		}
	}
	return r, len(numbers) >= 2
}

// bugs of btrfs that touch what ebb does: subvolumes that are renamed,
// exchanged and deleted beside files that are fsynced, and power cuts; each with
// the kernels that have it, from the first of a range up to but without the
// second. By the announcements and changelogs of the stable kernels, where every
// fix stands that is dated here. Not known: from which 6.6.y on logs cannot be
// replayed, and which 6.6.y and 6.18.y have what 6.12.94 has mended. A text,
// which takes less room than a slice.
const bugs = `
0.0.0-4.7.0: btrfs cannot exchange two subvolumes, no rollback is possible
4.7.0-5.4.8: an exchange of subvolumes can deadlock, or corrupt memory
5.4.8-5.14.0: the calls that bring entries in are not complete; a failed exchange of subvolumes can leave names that lead nowhere
5.18.0-6.1.143 6.2.0-6.6.96 6.7.0-6.12.36 6.13.0-6.15.5: a power cut can lose a file that was renamed while its directory was logged
6.5.0-6.5.10: a snapshot of a subvolume that was just made can be damaged
6.6.0-6.6.15: a snapshot of a subvolume that is being deleted makes the file system read-only
6.7.0-6.7.9: a snapshot that fails can corrupt memory
6.6.96-6.6.103 6.12.36-6.12.43 6.15.2-6.16.2: after a power cut the file system may not mount: a log with an unlinked file cannot be replayed
6.12.43-6.12.94: after a power cut a directory may be missing although it was fsynced, or the file system may not mount: fsync after rmdir
`

// bugsOf says what is known to be wrong with a kernel.
func bugsOf(uname string) (problems []string) {
	running, ok := parseRelease(uname)
	if !ok {
		return nil
	}
	for _, line := range strings.Split(strings.TrimSpace(bugs), "\n") {
		ranges, problem, _ := strings.Cut(line, ": ")
		for _, r := range strings.Fields(ranges) {
			first, fixed, _ := strings.Cut(r, "-")
			from, _ := parseRelease(first)
			to, _ := parseRelease(fixed)
			if !running.less(from) && running.less(to) {
				problems = append(problems, problem+"; fixed in "+fixed)
			}
		}
	}
	return problems
}
