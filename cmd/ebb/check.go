package main

import (
	"errors"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
)

// runCheck validates a config. It runs while a system is built, so it needs
// nothing but the file.
func runCheck(i *invocation, args []string) error {
	f := i.flags()
	f.BoolVar(&i.json, "json", false, "print the problems as JSON")
	rest, err := i.parse(f, args, 0, 1)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		i.configPath = rest[0]
	}
	c, err := i.config()
	if i.json {
		var problems config.Problems
		errors.As(err, &problems)
		if jsonErr := printJSON(i.stdout, checkReport{Version: 1, File: i.configPath, OK: err == nil, Problems: problems}); jsonErr != nil {
			return jsonErr
		}
		return err
	}
	if err != nil {
		return err
	}
	format.Fprintf(i.stdout, "%s is valid: root of kind %s, %d entries in %d stores\n", i.configPath, c.Root.Kind, c.CountEntries(), len(c.Stores))
	return nil
}

type checkReport struct {
	Version  int             `json:"version"`
	File     string          `json:"file"`
	OK       bool            `json:"ok"`
	Problems config.Problems `json:"problems,omitempty"`
}
