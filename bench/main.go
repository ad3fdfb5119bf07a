// Bench measures ebb against its limits: small C programs that make the same
// changes with nothing but the system calls that these take, and what people
// use without ebb, shell scripts above all.
//
//	go run ./bench            # as root, on Linux, about ten minutes
//	go run ./bench -quick     # fewer and smaller, about four minutes
//	go run ./bench -skip vm   # without virtual machines
//	go run ./bench -vm        # boots of virtual machines alone
//	go run ./bench -markdown  # docs/performance.md
//
// Everything happens on loop devices, in mount namespaces of its own, and in
// virtual machines; the machine is not changed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
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
	only     []string
	skip     []string
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
	f.Func("only", "only the parts in this `LIST`, with commas: start, mount, rollback, diff, size, vm", parseParts(&o.only))
	f.Func("skip", "all parts but those in this `LIST`", parseParts(&o.skip))
	vm := f.Bool("vm", false, "only the boots of virtual machines, the same as -only vm")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if *vm {
		o.only = append(o.only, "vm")
	}
	return o, nil
}

// parseParts returns the function for a flag that names parts.
func parseParts(list *[]string) func(string) error {
	return func(text string) error {
		for name := range strings.SplitSeq(text, ",") {
			if !slices.ContainsFunc(parts(), func(p part) bool { return p.name == name }) {
				return fmt.Errorf("there is no part %q", name)
			}
			*list = append(*list, name)
		}
		return nil
	}
}

// wants reports whether a part is to be measured.
func (o *options) wants(part string) bool {
	if slices.Contains(o.skip, part) {
		return false
	}
	return len(o.only) == 0 || slices.Contains(o.only, part)
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
	if report == nil {
		return err
	}
	return errors.Join(report.write(os.Stdout, o), err)
}
