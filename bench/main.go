// Bench measures ebb against its limits: small C programs that make the same
// changes with nothing but the system calls that these take, and what people
// use without ebb, shell scripts above all.
//
//	go run ./bench            # as root, on Linux, about ten minutes
//	go run ./bench -quick     # fewer and smaller, about one minute
//	go run ./bench -markdown  # the tables of docs/performance.md
//
// Everything happens on loop devices and in mount namespaces of its own; the
// machine is not changed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	runs     int
	quick    bool
	markdown bool
	json     bool
	ebb      string
	dir      string
	only     string
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.runs, "runs", 0, "how often each program is run; 0 goes by its length")
	f.BoolVar(&o.quick, "quick", false, "fewer runs, smaller trees")
	f.BoolVar(&o.markdown, "markdown", false, "write Markdown")
	f.BoolVar(&o.json, "json", false, "write JSON, with every single run")
	f.StringVar(&o.ebb, "ebb", "", "measure this `FILE` instead of building ebb")
	f.StringVar(&o.dir, "dir", "", "where the disk images are made, a `DIR` with 4 GB to spare; empty: the system's for temporary files")
	f.StringVar(&o.only, "only", "", "only the part of this `NAME`: start, mount, rollback, size")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return o, nil
}

func run(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("disk images and mount namespaces need root")
	}
	if again, err := runInNamespace(); again {
		return err
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	report, err := b.measure()
	if err != nil {
		return err
	}
	return report.write(os.Stdout, o)
}
