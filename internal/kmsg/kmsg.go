// Package kmsg says what ebb does: one line for each step, with a level, to
// wherever somebody reads it at this stage of the boot.
//
//   - Standard error is a stream to the journal (sd-daemon(3), SyslogLevelPrefix):
//     "<6>text", and the journal adds time and name.
//   - Standard error is anything else, a terminal say: "ebb: text".
//   - In the initrd, what is a warning or worse also goes to the console, since
//     nobody reads the journal of a machine that does not come up; and where
//     there is no journal at all, everything goes to /dev/kmsg.
package kmsg

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Level is a syslog(3) level.
type Level int

// The levels in use.
const (
	Critical Level = 2
	Failure  Level = 3 // what was asked for did not come about
	Refusal  Level = 4 // something was left undone, on purpose
	Info     Level = 6 // a change of state, before it is made
	Debug    Level = 7
)

// lineMax keeps a line below the kernel's own limit: LOG_LINE_MAX is 1024
// less the prefix (kernel/printk/printk.c), and longer ones are cut anywhere.
const lineMax = 900

// pendingMax is how much text may wait to be written, in bytes. A line to the
// journal that goes by itself takes a buffer of its own in the kernel: some
// hundred of them, and the writer waits for journald.
const pendingMax = 16 << 10

// Logger writes lines, also for several goroutines at once. The zero value
// drops everything.
type Logger struct {
	mutex   sync.Mutex // around pending and line, and so that lines stay whole
	stderr  io.Writer
	pending []byte
	line    []byte // of Log, used again
	journal bool
	kernel  io.Writer // /dev/kmsg, or nil
	console io.Writer // or nil
	verbose bool
}

// New returns the logger for this process. With verbose, lines of level Debug
// are written as well.
func New(verbose bool) *Logger {
	l := &Logger{stderr: sys.Stderr, journal: isJournal(sys.Stderr), verbose: verbose}
	if sys.Exists("/etc/initrd-release") != nil {
		return l
	}
	// Worst case of each: the line is missing there, standard error has it.
	if console, err := sys.OpenPath("/dev/console", unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK); err == nil && !sys.Stderr.IsTerminal() {
		l.console = console
	}
	if !l.journal && !sys.Stderr.IsTerminal() {
		if kernel, err := sys.OpenPath("/dev/kmsg", unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK); err == nil {
			l.kernel = kernel
		}
	}
	return l
}

// isJournal compares the open file with what the service manager says that it
// has connected to the journal: $JOURNAL_STREAM, "device:inode"
// (systemd.exec(5)). A descriptor that was redirected since does not match.
func isJournal(f sys.File) bool {
	var st unix.Stat_t
	if err := sys.Retry(func() error { return unix.Fstat(int(f), &st) }); err != nil {
		return false
	}
	stream, _ := unix.Getenv("JOURNAL_STREAM")
	return stream == format.Sprintf("%d:%d", st.Dev, st.Ino)
}

// Log writes one line, at once. Line breaks and control characters in it, which
// may come from file names, are written as escapes.
func (l *Logger) Log(level Level, line string, args ...any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.line = format.Appendf(l.line[:0], line, args...)
	l.logSoon(level, l.line)
	l.flush()
}

// LogSoon is [Logger.Log] for lines of which there are thousands: they are
// written together, at the latest before the next one of Log. Lines that lead
// to the console, or end the process, have to go through Log. The text is the
// caller's again afterwards.
func (l *Logger) LogSoon(level Level, text []byte) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.logSoon(level, text)
}

func (l *Logger) logSoon(level Level, text []byte) {
	if level >= Debug && !l.verbose {
		return
	}
	text = clean(text)
	if l.stderr != nil {
		if l.pending == nil {
			l.pending = make([]byte, 0, pendingMax+2*lineMax)
		}
		prefix := "ebb: "
		if l.journal {
			prefix = levelPrefix(level)
		}
		l.pending = append(append(append(l.pending, prefix...), text...), '\n')
	}
	if l.kernel != nil {
		format.Fprintf(l.kernel, "%sebb: %s\n", levelPrefix(level), text) // a record for each write(2)
	}
	if l.console != nil && level <= Refusal {
		format.Fprintf(l.console, "ebb: %s\r\n", text)
	}
	if len(l.pending) > pendingMax {
		l.flush()
	}
}

// levelPrefix is how the journal and the kernel log are told the level.
func levelPrefix(level Level) string { return "<" + strconv.Itoa(int(level)) + ">" }

// Flush writes the lines that wait. Worst case of a write that fails: they are
// lost, and the boot record has what matters.
func (l *Logger) Flush() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.flush()
}

func (l *Logger) flush() {
	if len(l.pending) > 0 {
		_, _ = l.stderr.Write(l.pending)
		l.pending = l.pending[:0]
	}
}

// clean makes one harmless line of text.
func clean(text []byte) []byte {
	if len(text) <= lineMax && isPlain(text) {
		return text
	}
	// What would end a line or a column becomes a blank.
	line := Escape(strings.ReplaceAll(strings.ReplaceAll(string(text), "\n", " "), "\t", " "))
	if len(line) > lineMax {
		line = strings.ToValidUTF8(line[:lineMax-3], "") + "..."
	}
	return []byte(line)
}

// Escape makes a message harmless to a terminal, names in which may be quoted
// already: what cannot be printed, escape sequences and changes of writing
// direction among it, is written as Go escapes. All else stays as it is, so
// that nothing is escaped twice.
func Escape(text string) string {
	if isPlain(text) {
		return text
	}
	var line []byte
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if shown := rest[:size]; strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			line = append(line, shown...)
		} else {
			quoted := strconv.Quote(shown)
			line = append(line, quoted[1:len(quoted)-1]...)
		}
		rest = rest[size:]
	}
	return string(line)
}

// Quote shows a name, which may hold anything, so that a terminal takes no
// harm, and so that no two names look the same: everything but printable ASCII
// is written as Go escapes, and so is a backslash.
func Quote(text string) string {
	if isPlain(text) {
		return text
	}
	quoted := strconv.QuoteToASCII(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// isPlain reports whether text is printable ASCII without a backslash.
func isPlain[T string | []byte](text T) bool {
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}
