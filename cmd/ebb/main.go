// A run in the initrd is over before these begin to pay: following a cgroup's
// quota, and naming each mapping by a system call (go.dev/doc/godebug).
//
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0

// Ebb gives a NixOS machine a root file system that is new at every boot, and
// brings what is to survive into place. See the README for what it does, and
// "ebb -h" for the commands.
package main

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
)

// The exit statuses. Scripts rely on them.
const (
	exitDone   = 0
	exitFailed = 1 // or, of a command that reports: there are problems
	exitUsage  = 2 // or the config is bad
)

func main() {
	// Modes are meant as they are written.
	unix.Umask(0)
	if status := run(sys.Arguments()[1:]); status != exitDone {
		exit(status)
	}
}

// run finds the command and runs it; it is the one place where errors reach a
// person, and where a panic ends.
func run(args []string) (status int) {
	c, rest := findCommand(args)
	log := kmsg.New(isVerbose())
	defer log.Flush()
	defer func() {
		if p := recover(); p != nil {
			log.Log(kmsg.Critical, "this is a bug in ebb, please report it: %v", p)
			stack := make([]byte, 16<<10)
			log.Log(kmsg.Critical, "%s", stack[:runtime.Stack(stack, false)])
			status = exitFailed
		}
	}()
	if c == nil {
		return usage(args)
	}
	err := c.run(&invocation{command: c, log: log, stdout: sys.Stdout}, rest)
	return report(log, c, err)
}

// isVerbose asks the kernel command line (ebb.log=debug).
func isVerbose() bool {
	line, err := sys.ReadPath(cmdline.Path, cmdline.MaxBytes)
	return err == nil && initrd.Verbose(cmdline.Parse(string(line)))
}

// errProblems is returned by a command that has told everything already, and
// only wants the exit status.
var errProblems = errors.New("problems were found")

// usageError is wrong use of the command line.
type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

// report says what went wrong, once, with what to do about it, and gives the
// exit status.
func report(log *kmsg.Logger, c *command, err error) int {
	var problems config.Problems
	var misuse *usageError
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitDone
	case errors.Is(err, errProblems):
		return exitFailed
	case errors.As(err, &misuse):
		format.Fprintf(sys.Stderr, "ebb %s: %s\nebb %s -h tells more\n", c.name, misuse.reason, c.name)
		return exitUsage
	case errors.As(err, &problems):
		for _, p := range problems {
			log.Log(kmsg.Failure, "config: %s", p)
		}
		if c.name != "check" { // whoever checks a config is not in need of one
			log.Log(kmsg.Failure, "hint: %s", initrd.Hint(err))
		}
		return exitUsage
	}
	level := kmsg.Failure
	if errors.Is(err, initrd.ErrRefused) {
		level = kmsg.Refusal
	}
	log.Log(level, "%s: %v", c.name, err)
	if hint := initrd.Hint(err); hint != "" {
		log.Log(level, "hint: %s", hint)
	}
	return exitFailed
}
