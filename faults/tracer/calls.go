package tracer

import "golang.org/x/sys/unix"

// call says what a system call is and how its arguments are shown: one letter
// for each.
//
//	d  descriptor of a directory, AT_FDCWD among them
//	f  descriptor
//	p  path
//	x  flags, in hexadecimal
//	h  struct open_how
//	-  not shown
type call struct {
	name      string
	arguments string
	// late: an error is told of what has been done all the same.
	late bool
}

// counted are the calls by which a program reads or changes the world.
var counted = map[uint64]call{
	unix.SYS_READ:              {name: "read", arguments: "f"},
	unix.SYS_WRITE:             {name: "write", arguments: "f"},
	unix.SYS_PREAD64:           {name: "pread64", arguments: "f"},
	unix.SYS_PWRITE64:          {name: "pwrite64", arguments: "f"},
	unix.SYS_OPEN:              {name: "open", arguments: "px"},
	unix.SYS_OPENAT:            {name: "openat", arguments: "dpx"},
	unix.SYS_OPENAT2:           {name: "openat2", arguments: "dph"},
	unix.SYS_CLOSE:             {name: "close", arguments: "f", late: true}, // close(2): the descriptor is gone even so
	unix.SYS_STAT:              {name: "stat", arguments: "p"},
	unix.SYS_LSTAT:             {name: "lstat", arguments: "p"},
	unix.SYS_FSTAT:             {name: "fstat", arguments: "f"},
	unix.SYS_NEWFSTATAT:        {name: "newfstatat", arguments: "dp-x"},
	unix.SYS_STATX:             {name: "statx", arguments: "dpx"},
	unix.SYS_STATFS:            {name: "statfs", arguments: "p"},
	unix.SYS_FSTATFS:           {name: "fstatfs", arguments: "f"},
	unix.SYS_FACCESSAT:         {name: "faccessat", arguments: "dp"},
	unix.SYS_FACCESSAT2:        {name: "faccessat2", arguments: "dp"},
	unix.SYS_READLINK:          {name: "readlink", arguments: "p"},
	unix.SYS_READLINKAT:        {name: "readlinkat", arguments: "dp"},
	unix.SYS_GETDENTS64:        {name: "getdents64", arguments: "f"},
	unix.SYS_LSEEK:             {name: "lseek", arguments: "f"},
	unix.SYS_MKDIR:             {name: "mkdir", arguments: "p"},
	unix.SYS_MKDIRAT:           {name: "mkdirat", arguments: "dpx"},
	unix.SYS_MKNODAT:           {name: "mknodat", arguments: "dpx"},
	unix.SYS_SYMLINKAT:         {name: "symlinkat", arguments: "pdp"},
	unix.SYS_LINKAT:            {name: "linkat", arguments: "dpdp"},
	unix.SYS_UNLINKAT:          {name: "unlinkat", arguments: "dpx"},
	unix.SYS_RENAMEAT:          {name: "renameat", arguments: "dpdp"},
	unix.SYS_RENAMEAT2:         {name: "renameat2", arguments: "dpdpx"},
	unix.SYS_FTRUNCATE:         {name: "ftruncate", arguments: "f"},
	unix.SYS_COPY_FILE_RANGE:   {name: "copy_file_range", arguments: "f-f"},
	unix.SYS_FCHOWN:            {name: "fchown", arguments: "f"},
	unix.SYS_FCHOWNAT:          {name: "fchownat", arguments: "dp"},
	unix.SYS_FCHMOD:            {name: "fchmod", arguments: "fx"},
	unix.SYS_FCHMODAT:          {name: "fchmodat", arguments: "dpx"},
	unix.SYS_UTIMENSAT:         {name: "utimensat", arguments: "dp"},
	unix.SYS_GETXATTR:          {name: "getxattr", arguments: "pp"},
	unix.SYS_LGETXATTR:         {name: "lgetxattr", arguments: "pp"},
	unix.SYS_FGETXATTR:         {name: "fgetxattr", arguments: "fp"},
	unix.SYS_LLISTXATTR:        {name: "llistxattr", arguments: "p"},
	unix.SYS_FLISTXATTR:        {name: "flistxattr", arguments: "f"},
	unix.SYS_SETXATTR:          {name: "setxattr", arguments: "pp"},
	unix.SYS_LSETXATTR:         {name: "lsetxattr", arguments: "pp"},
	unix.SYS_FSETXATTR:         {name: "fsetxattr", arguments: "fp"},
	unix.SYS_FREMOVEXATTR:      {name: "fremovexattr", arguments: "fp"},
	unix.SYS_FSYNC:             {name: "fsync", arguments: "f"},
	unix.SYS_FDATASYNC:         {name: "fdatasync", arguments: "f"},
	unix.SYS_SYNCFS:            {name: "syncfs", arguments: "f"},
	unix.SYS_FLOCK:             {name: "flock", arguments: "fx"},
	unix.SYS_FCNTL:             {name: "fcntl", arguments: "fx"},
	unix.SYS_IOCTL:             {name: "ioctl", arguments: "fx"},
	unix.SYS_MOUNT:             {name: "mount", arguments: "pppx"},
	unix.SYS_UMOUNT2:           {name: "umount2", arguments: "px"},
	unix.SYS_OPEN_TREE:         {name: "open_tree", arguments: "dp"},
	unix.SYS_MOVE_MOUNT:        {name: "move_mount", arguments: "dpdp"},
	unix.SYS_MOUNT_SETATTR:     {name: "mount_setattr", arguments: "dp"},
	unix.SYS_FSOPEN:            {name: "fsopen", arguments: "p"},
	unix.SYS_FSCONFIG:          {name: "fsconfig", arguments: "fxp"},
	unix.SYS_FSMOUNT:           {name: "fsmount", arguments: "f"},
	unix.SYS_FSPICK:            {name: "fspick", arguments: "dp"},
	unix.SYS_SOCKET:            {name: "socket", arguments: ""},
	unix.SYS_SENDMSG:           {name: "sendmsg", arguments: "f"},
	unix.SYS_SENDTO:            {name: "sendto", arguments: "f"},
	unix.SYS_INOTIFY_INIT1:     {name: "inotify_init1", arguments: ""},
	unix.SYS_INOTIFY_ADD_WATCH: {name: "inotify_add_watch", arguments: "fp"},
	unix.SYS_ADJTIMEX:          {name: "adjtimex", arguments: ""},
	unix.SYS_STATMOUNT:         {name: "statmount", arguments: ""},
	unix.SYS_LISTMOUNT:         {name: "listmount", arguments: ""},
}

// runtimeOnly are the calls of the Go runtime for itself, and those that can
// neither fail nor touch anything outside the process.
var runtimeOnly = map[uint64]string{
	unix.SYS_MMAP: "memory", unix.SYS_MUNMAP: "memory", unix.SYS_MADVISE: "memory", unix.SYS_MPROTECT: "memory",
	unix.SYS_MINCORE: "memory", unix.SYS_BRK: "memory", unix.SYS_PRCTL: "names of memory",
	unix.SYS_FUTEX: "threads", unix.SYS_CLONE: "threads", unix.SYS_CLONE3: "threads", unix.SYS_GETTID: "threads",
	unix.SYS_SCHED_YIELD: "threads", unix.SYS_SCHED_GETAFFINITY: "threads", unix.SYS_NANOSLEEP: "threads",
	unix.SYS_ARCH_PRCTL: "threads", unix.SYS_SET_ROBUST_LIST: "threads", unix.SYS_RSEQ: "threads", unix.SYS_EXIT: "threads",
	unix.SYS_RT_SIGACTION: "signals", unix.SYS_RT_SIGPROCMASK: "signals", unix.SYS_RT_SIGRETURN: "signals",
	unix.SYS_SIGALTSTACK: "signals", unix.SYS_TGKILL: "signals", unix.SYS_SETITIMER: "signals",
	unix.SYS_RESTART_SYSCALL: "signals", unix.SYS_TIMER_CREATE: "signals", unix.SYS_TIMER_SETTIME: "signals",
	unix.SYS_EPOLL_CREATE1: "poller", unix.SYS_EPOLL_CTL: "poller", unix.SYS_EPOLL_PWAIT: "poller",
	unix.SYS_EVENTFD2: "poller", unix.SYS_PIPE2: "poller",
	unix.SYS_CLOCK_GETTIME: "clock", unix.SYS_GETTIMEOFDAY: "clock", unix.SYS_CLOCK_NANOSLEEP: "clock",
	unix.SYS_GETPID: "cannot fail", unix.SYS_GETPPID: "cannot fail", unix.SYS_GETUID: "cannot fail", unix.SYS_GETEUID: "cannot fail",
	unix.SYS_GETGID: "cannot fail", unix.SYS_GETEGID: "cannot fail", unix.SYS_UMASK: "cannot fail",
	unix.SYS_UNAME: "cannot fail", unix.SYS_SYSINFO: "cannot fail",
	unix.SYS_GETRANDOM: "seeds", unix.SYS_PRLIMIT64: "limits", unix.SYS_GETRLIMIT: "limits",
	unix.SYS_EXIT_GROUP: "the end", unix.SYS_EXECVE: "the begin",
}

// changing are the calls that can change something outside the process.
var changing = map[string]bool{
	"write": true, "pwrite64": true, "mkdir": true, "mkdirat": true, "mknodat": true, "symlinkat": true, "linkat": true,
	"unlinkat": true, "renameat": true, "renameat2": true, "ftruncate": true, "copy_file_range": true, "fchown": true,
	"fchownat": true, "fchmod": true, "fchmodat": true, "utimensat": true, "setxattr": true, "lsetxattr": true, "fsetxattr": true,
	"fremovexattr": true, "fsync": true, "fdatasync": true, "syncfs": true, "flock": true, "ioctl": true, "mount": true,
	"umount2": true, "open_tree": true, "move_mount": true, "mount_setattr": true, "fsconfig": true, "fsmount": true,
	"sendmsg": true,
}
