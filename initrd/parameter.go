package initrd

import (
	"strconv"

	"github.com/ebb-nix/ebb/internal/cmdline"
)

// The kernel parameters that ebb reads.
const (
	parameterRollback = "ebb.rollback" // no: keep the root; N: boot a copy of archived root N
	parameterMount    = "ebb.mount"    // no: bring no entries in
	parameterLog      = "ebb.log"      // debug
	parameterResume   = "resume"
	parameterOffset   = "resume_offset"
	parameterNoResume = "noresume"
)

// Verbose reports whether the kernel command line asks for debug lines.
func Verbose(p cmdline.Parameters) bool {
	value, _ := p.Get(parameterLog)
	return value == "debug"
}

// wish is what the kernel command line wants of the rollback.
type wish struct {
	keep   bool   // leave the root alone
	copyOf uint64 // begin from this archived root, 0: from the blank
	reason string
}

// rollbackWish reads ebb.rollback. Whoever writes something that cannot be
// understood there does not want an ordinary boot, and keeping the root is
// what loses nothing.
func rollbackWish(p cmdline.Parameters) wish {
	value, given := p.Get(parameterRollback)
	switch {
	case !given, value == "yes":
		return wish{}
	case value == "no":
		return wish{keep: true, reason: "the kernel command line says " + parameterRollback + "=no"}
	}
	number, err := strconv.ParseUint(value, 10, 62)
	if err != nil || number == 0 {
		if len(value) > 40 {
			value = value[:40] + "..."
		}
		return wish{keep: true, reason: "the kernel command line says " + parameterRollback + "=" + value +
			", which is neither \"no\" nor the number of an archived root"}
	}
	return wish{copyOf: number}
}

// mountsUnwanted is why no entries are to be brought in, "" when they are.
func mountsUnwanted(p cmdline.Parameters) string {
	if value, _ := p.Get(parameterMount); value == "no" {
		return "the kernel command line says " + parameterMount + "=no"
	}
	return ""
}
