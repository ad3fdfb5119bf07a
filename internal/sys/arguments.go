package sys

import _ "unsafe" // for go:linkname

// Arguments returns the command line of this process, its name first: what
// package os calls Args, and has from the runtime in this way.
//
//go:linkname Arguments os.runtime_args
func Arguments() []string
