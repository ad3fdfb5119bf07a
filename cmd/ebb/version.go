package main

import "github.com/ebb-nix/ebb/internal/format"

// version is set by the linker (-X main.version=...), to a release or a commit.
var version = "(built by hand)"

func runVersion(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print JSON")
	if _, err := i.parse(f, args, 0, 0); err != nil {
		return err
	}
	if i.json {
		return printJSON(i.stdout, struct {
			Version string `json:"version"`
		}{version})
	}
	format.Fprintln(i.stdout, "ebb", version)
	return nil
}
