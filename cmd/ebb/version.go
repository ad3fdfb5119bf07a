package main

import (
	"fmt"
	"runtime/debug"
)

func runVersion(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	if i.json {
		return printJSON(i.stdout, struct {
			Version string `json:"version"`
		}{version()})
	}
	fmt.Fprintln(i.stdout, "ebb", version())
	return nil
}

// version is what the Go tool knows of the source: a release, or a commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
