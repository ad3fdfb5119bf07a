package main

import (
	"errors"
	"io"
	"path"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
)

// command is one verb of the command line.
type command struct {
	name    string
	args    string // as in the usage line
	summary string
	where   string // where it is used
	run     func(*invocation, []string) error
}

// commands are all verbs, in the order in which the help lists them.
func commands() []*command {
	return []*command{
		{"status", "", "was the root fresh, is every entry in place, where is the old root", "anywhere", runStatus},
		{"plan", "", "what rollback and mount would do now, and what they would refuse", "anywhere", runPlan},
		{"diff", "[PATH]", "what the next boot will lose", "running system", runDiff},
		{"restore", "PATH...", "bring files back from archived roots", "anywhere", runRestore},
		{"find", "GLOB...", "look for files in archived roots", "anywhere", runFind},
		{"keep", "PATH... | --forget PATH... | --list", "copy into the store now, bring into place live, at each boot from now on", "running system", runKeep},
		{"apply", "", "bring entries that are new in the configuration into place now", "running system, at a switch", runApply},
		{"why", "PATH...", "what the next boot does to a path, and which archived roots have it", "running system", runWhy},
		{"doctor", "", "what is wrong here, and what to type next", "anywhere", runDoctor},
		{"roots", "[pin N [WHY] | unpin N | delete N... | mount N [DIR] | umount N|DIR]", "list the archived roots, or work on them", "anywhere", runRoots},
		{"prune", "", "delete the archived roots that nothing keeps", "running system", runPrune},
		{"orphans", "[--trash PATH... | --restore PATH...]", "what lies in a store and is declared nowhere", "running system", runOrphans},
		{"sync", "[PATH...]", "copy changed \"sync\" files back into their store", "running system", runSync},
		{"check", "FILE", "validate a config", "build", runCheck},
		{"rollback", "", "make the root fresh and archive the old one", "initrd", runRollback},
		{"mount", "--root DIR", "bring the entries into place below DIR", "initrd", runMount},
		{"version", "", "the version of this ebb", "anywhere", runVersion},
	}
}

func findCommand(args []string) (*command, []string) {
	if len(args) == 0 {
		return nil, nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c, args[1:]
		}
	}
	return nil, nil
}

// usage prints the help: to standard output when it was asked for.
func usage(args []string) int {
	asked := len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help")
	out, status := io.Writer(sys.Stderr), exitUsage
	if asked {
		out, status = sys.Stdout, exitDone
	} else if len(args) > 0 {
		format.Fprintf(out, "ebb: there is no command %s\n\n", kmsg.Quote(args[0]))
	}
	format.Fprint(out, "ebb gives this machine a root file system that is new at every boot.\n\nUsage: ebb COMMAND [flags]\n\n")
	var t table
	for _, c := range commands() {
		t.row("  "+c.name, c.summary)
	}
	t.print(out)
	format.Fprint(out, "\nebb COMMAND -h tells its arguments and flags. Exit status: 0 done, 1 failed or problems found, 2 usage or config.\n")
	return status
}

// invocation is one run of a command, with the flags that all of them share.
type invocation struct {
	command *command
	log     *kmsg.Logger
	stdout  io.Writer

	configPath string
	runDir     string
	json       bool
	dryRun     bool
}

// errHelp ends a command that was asked for its help.
var errHelp = errors.New("help was asked for")

// flags returns the flag set of the command, with the shared flags in it.
func (i *invocation) flags() *flagSet {
	f := &flagSet{}
	f.StringVar(&i.configPath, "config", config.DefaultPath, "the config `FILE`")
	f.StringVar(&i.runDir, "run-dir", "/run/ebb", "the `DIR` of the boot record")
	return f
}

// parse reads the flags and returns the arguments. At most most of them are
// allowed, any number if it is -1.
func (i *invocation) parse(f *flagSet, args []string, least, most int) ([]string, error) {
	rest, err := f.parse(args)
	if errors.Is(err, errHelp) {
		c := i.command
		format.Fprintf(i.stdout, "Usage: ebb %s [flags] %s\n\n%s (%s)\n\nFlags:\n", c.name, c.args, c.summary, c.where)
		f.help(i.stdout)
	}
	if err != nil {
		return nil, err
	}
	if f.root != nil && *f.root == "" {
		*f.root = i.recordedRoot()
	}
	if len(rest) < least || most >= 0 && len(rest) > most {
		return nil, &usageError{format.Sprintf("%d arguments, usage: ebb %s %s", len(rest), i.command.name, i.command.args)}
	}
	return rest, nil
}

// parsePaths is parse for arguments that are paths: they become absolute ones, from
// the working directory, and clean.
func (i *invocation) parsePaths(f *flagSet, args []string, least, most int) ([]string, error) {
	paths, err := i.parse(f, args, least, most)
	for n, p := range paths {
		if !path.IsAbs(p) {
			dir, err := unix.Getwd()
			if err != nil {
				return nil, err
			}
			p = dir + "/" + p
		}
		paths[n] = path.Clean(p)
	}
	return paths, err
}

// config reads the config.
func (i *invocation) config() (*config.Config, error) {
	data, err := sys.ReadPath(i.configPath, config.MaxBytes)
	if err != nil {
		reason := err.Error()
		if errors.Is(err, unix.ENOENT) {
			reason += ": ebb.enable makes it on NixOS, --config names another"
		}
		return nil, config.Problems{{Reason: reason}}
	}
	return config.Parse(data)
}

// host describes this machine; sysroot is where the new root is or will be.
func (i *invocation) host(sysroot string) (*initrd.Host, error) {
	return initrd.NewHost(i.runDir, sysroot, i.log)
}

// defaultRoot is where the root is, or will be, at this stage of the boot.
func defaultRoot() string {
	if inInitrd() {
		return "/sysroot"
	}
	return "/"
}

// recordedRoot is the root that this boot's entries were brought into, if it is
// still there, as where ebb is tried out, and else defaultRoot.
func (i *invocation) recordedRoot() string {
	if host, err := i.host("/"); err == nil {
		record, err := initrd.ReadRecord(i.runDir, host.BootID)
		if err == nil && record.Mount != nil && record.Mount.RootID != "" && record.Mount.RootID == initrd.RootID(record.Mount.Root) {
			return record.Mount.Root
		}
	}
	return defaultRoot()
}

// rootVar defines the flag for the directory that is the root.
func (f *flagSet) rootVar() *string {
	f.root = f.String("root", defaultRoot(), "`DIR` that is the root")
	*f.root = "" // until it is known where the record is
	return f.root
}

// inInitrd reports whether this is stage 1, by the file that systemd goes by.
func inInitrd() bool {
	return sys.Exists("/etc/initrd-release") == nil
}
