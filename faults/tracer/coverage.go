package tracer

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// countersVariable names the directory to which a program that was built with
// "go build -cover" writes, when it ends, what it has reached. Where it is set
// for the tests, programs under the tracer get it, too. One that is killed
// writes nothing.
const countersVariable = "GOCOVERDIR"

// forCounters is what a program has in its environment for that.
func forCounters() []string {
	if dir := os.Getenv(countersVariable); dir != "" {
		return []string{countersVariable + "=" + dir}
	}
	return nil
}

// writesCounters reports whether a call is the first one of those that write
// what was reached. The program's own are over then: nothing happens to these.
func writesCounters(tid int, how call, regs *unix.PtraceRegs) bool {
	dir := os.Getenv(countersVariable)
	if dir == "" {
		return false
	}
	values := []uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9}
	for i, kind := range how.arguments {
		if kind == 'p' && strings.HasPrefix(readString(tid, values[i]), dir+"/") {
			return true
		}
	}
	return false
}
