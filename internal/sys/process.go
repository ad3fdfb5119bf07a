package sys

import (
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
)

// Arguments returns the command line of this process, its name first: what
// package os calls Args, and has from the runtime in this way.
//
//go:linkname Arguments os.runtime_args
func Arguments() []string

// CalmMonitor lets the first thread that the Go runtime has started for itself sleep
// up to 10 ms longer than it asks to. It looks after the others (sysmon in
// runtime/proc.go), for which it wakes up every 20 us for as long as a system call
// lasts: to a command that does nothing beside that call it is of no use, and it
// takes a tenth of the time of a rollback. Where several goroutines wait for disks
// they would come later by it. Linux 4.6, with /proc and CAP_SYS_NICE; without
// them, or with a runtime that starts another thread first, all is as before.
func CalmMonitor() {
	dir, err := OpenDirectory("/proc/self/task")
	if err != nil {
		return
	}
	names, _ := ReadNames(dir) // in the order in which they were started (proc_task_readdir)
	unix.Close(dir)
	if len(names) > 1 {
		if f, err := OpenPath("/proc/"+names[1]+"/timerslack_ns", unix.O_WRONLY); err == nil {
			_, _ = f.Write([]byte("10000000"))
			f.Close()
		}
	}
}
