package vmtest

import (
	"fmt"
	"strings"
)

// Fault makes requests to a disk fail with EIO.
type Fault struct {
	Of FaultyRequest
	// After is how many writes the disk does before.
	After int
	// Once ends the fault with the first request that has failed.
	Once bool
}

// FaultyRequest is a kind of requests to a disk.
type FaultyRequest string

// The kinds.
const (
	FaultyWrite FaultyRequest = "write"
	FaultyFlush FaultyRequest = "flush"
	FaultyRead  FaultyRequest = "read"
)

// rules are those of QEMU's driver blkdebug for a fault (docs/devel/blkdebug.rst): the state is the number of the next
// write, up to that from which on the fault is there.
func (f Fault) rules() string {
	var b strings.Builder
	last := f.After
	if f.Once && f.After > 0 {
		last++ // or each further write would bring it again
	}
	for n := range last {
		fmt.Fprintf(&b, "set-state.%d.event=pwritev,set-state.%[1]d.state=%d,set-state.%[1]d.new_state=%[3]d,", n, n+1, n+2)
	}
	when := "event=none" // from the start
	if f.After > 0 {
		when = fmt.Sprintf("event=pwritev,inject-error.0.state=%d", f.After+1)
	}
	once := "off"
	if f.Once {
		once = "on"
	}
	fmt.Fprintf(&b, "inject-error.0.%s,inject-error.0.iotype=%s,inject-error.0.errno=5,inject-error.0.once=%s", when, f.Of, once)
	return b.String()
}

// drive is the part of the option -drive that says what disk number i is made of.
func (c commandLine) drive(i int, path string) string {
	format := "qcow2"
	if c.disksRaw {
		format = "raw"
	}
	below := func(prefix string) string {
		return fmt.Sprintf("%s.driver=%s,%[1]s.file.driver=file,%[1]s.file.filename=%[3]s,", prefix, format, path)
	}
	switch {
	case i == 0 && c.fault != nil:
		return ",driver=blkdebug," + below("image") + c.fault.rules()
	case i == 0 && c.writeLog != "":
		return ",driver=blklogwrites," + below("file") +
			"log.driver=raw,log.file.driver=file,log.file.filename=" + escape(c.writeLog) + ",log-sector-size=512"
	case c.disksReadOnly:
		return ",format=" + format + ",readonly=on,file=" + path
	}
	return ",format=" + format + ",file=" + path
}
