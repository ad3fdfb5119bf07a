package main

import (
	"github.com/ebb-nix/ebb/doctor"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/sys"
)

func runDoctor(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	root := f.rootVar()
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	host, err := i.host("/sysroot")
	if err != nil {
		return err
	}
	x := &doctor.Examination{Host: host, ConfigPath: i.configPath, Root: *root, Disks: "/dev/disk"}
	x.Config, x.ConfigError = i.config()
	// Worst case: a log that cannot be replayed is not recognised after ebb.rollback=no.
	x.KernelLog, _ = sys.KernelLog()
	findings := x.Run()
	if i.json {
		err = printJSON(i.stdout, struct {
			Version  int              `json:"version"`
			OK       bool             `json:"ok"`
			Findings []doctor.Finding `json:"findings"`
		}{1, doctor.Sound(findings), findings})
	} else {
		i.printFindings(findings)
	}
	if err == nil && !doctor.Sound(findings) {
		return errProblems
	}
	return err
}

func (i *invocation) printFindings(findings []doctor.Finding) {
	paint := newPalette(i.stdout)
	for _, f := range findings {
		level := string(f.Level)
		if f.Level == doctor.Fault {
			level = paint.bad(level)
		}
		format.Fprintf(i.stdout, "%s: %s\n", level, kmsg.Escape(f.Text))
		for _, line := range f.Type {
			format.Fprintf(i.stdout, "    %s\n", kmsg.Escape(line))
		}
	}
	if doctor.Sound(findings) {
		format.Fprintln(i.stdout, paint.good("No fault was found."))
	}
}
