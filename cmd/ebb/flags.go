package main

import (
	"io"
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"
)

// flagSet are the flags of a command. It reads what package flag reads, "-name
// value" and "--name=value", and lets flags stand anywhere among the arguments.
type flagSet struct {
	defined []definedFlag
	root    *string // that of rootVar
}

type definedFlag struct {
	name  string
	usage string // a word in backquotes is what the value is called
	value string // the default, for the help; of a boolean flag ""
	set   func(string) error
	bool  bool
}

// StringVar defines a flag with a text as its value.
func (f *flagSet) StringVar(p *string, name, value, usage string) {
	*p = value
	f.Func(name, value, usage, func(s string) error { *p = s; return nil })
}

// String is [flagSet.StringVar] with a variable of its own.
func (f *flagSet) String(name, value, usage string) *string {
	p := new(string)
	f.StringVar(p, name, value, usage)
	return p
}

// Bool is [flagSet.BoolVar] with a variable of its own.
func (f *flagSet) Bool(name string, value bool, usage string) *bool {
	p := new(bool)
	f.BoolVar(p, name, value, usage)
	return p
}

// Uint64Var defines a flag with a decimal number as its value.
func (f *flagSet) Uint64Var(p *uint64, name string, value uint64, usage string) {
	*p = value
	f.Func(name, "", usage, func(s string) (err error) {
		*p, err = strconv.ParseUint(s, 10, 64)
		return err
	})
}

// BoolVar defines a flag that needs no value.
func (f *flagSet) BoolVar(p *bool, name string, value bool, usage string) {
	*p = value
	f.Func(name, "", usage, func(s string) (err error) {
		*p, err = strconv.ParseBool(s)
		return err
	})
	f.defined[len(f.defined)-1].bool = true
}

// Func defines a flag that hands each of its values to set. The help shows
// value as the default.
func (f *flagSet) Func(name, value, usage string, set func(string) error) {
	f.defined = append(f.defined, definedFlag{name: name, usage: usage, value: value, set: set})
}

// parse reads the flags and returns the arguments. What follows "--" is an
// argument.
func (f *flagSet) parse(args []string) (rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(rest, args...), nil
		case len(arg) < 2 || arg[0] != '-':
			rest = append(rest, arg)
		default:
			if args, err = f.parseOne(arg, args); err != nil {
				return nil, err
			}
		}
	}
	return rest, nil
}

// parseOne sets the flag of arg, and returns the arguments after it.
func (f *flagSet) parseOne(arg string, args []string) ([]string, error) {
	name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	for _, d := range f.defined {
		switch {
		case d.name != name:
			continue
		case hasValue:
		case d.bool:
			value = "true"
		case len(args) == 0:
			return nil, &usageError{format.Sprintf("flag needs an argument: --%s", name)}
		default:
			value, args = args[0], args[1:]
		}
		if d.set(value) != nil {
			return nil, &usageError{format.Sprintf("invalid value %q for flag --%s", value, name)}
		}
		return args, nil
	}
	if name == "h" || name == "help" {
		return nil, errHelp
	}
	return nil, &usageError{format.Sprintf("flag provided but not defined: %q", arg)}
}

// help lists the flags.
func (f *flagSet) help(w io.Writer) {
	var t table
	for _, d := range f.defined {
		left := "  --" + d.name
		usage := d.usage
		if before, rest, found := strings.Cut(usage, "`"); found {
			called, after, _ := strings.Cut(rest, "`")
			left += " " + called
			usage = before + called + after
		} else if !d.bool {
			left += " VALUE"
		}
		if d.value != "" {
			usage += format.Sprintf(" (default %s)", d.value)
		}
		t.row(left, usage)
	}
	t.print(w)
}
