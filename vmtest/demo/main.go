// Command demo boots a virtual machine twice and tells what ebb does in it: what a reboot takes away, what it leaves,
// and where the old root is afterwards. Nothing is installed, and root is not needed.
//
// Each sentence that it says about the machine is looked up in the machine. The last of its output is a table of all
// that was claimed and what was seen; the exit status is 0 when all of it was so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitAllSo = 0
	exitNotSo = 1
	exitUsage = 2
)

// options are the flags.
type options struct{ keep, verbose bool }

const usage = `usage: go run ./vmtest/demo [flags]

Boots a virtual machine twice and tells what ebb does in it. The first run
downloads about 90 MB of Debian packages, which are kept for later runs.

The exit status is 0 when everything was as it should be, 1 when something
was not, and 2 for wrong flags.

`

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(exitAllSo)
	}
	if err != nil {
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the program there and then
	allSo, err := run(ctx, opts, newScreen(os.Stdout))
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
	}
	if err != nil || !allSo {
		os.Exit(exitNotSo)
	}
}

// parse reads the flags. It has told the user what is wrong when it returns an error.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprint(out, usage)
		f.PrintDefaults()
	}
	f.BoolVar(&o.keep, "keep", false, "keep the machine's disk and the logs of its console")
	f.BoolVar(&o.verbose, "verbose", false, "show the machine's console while it boots")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		fmt.Fprintf(out, "demo: unexpected argument %q\n", f.Arg(0))
		return o, errors.New("unexpected argument")
	}
	return o, nil
}
