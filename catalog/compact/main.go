// Compact prints catalog.json without what only the NixOS module asks for, one
// line for each entry, with members of one letter: what the binary carries of it.
// It is run where catalog.json is, see scripts/build.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// member is what is read of an entry, and carried what is printed of it, in that
// order.
type (
	member struct {
		Name  string `json:"name"`
		Path  string `json:"path"`
		File  bool   `json:"file"`
		What  string `json:"what"`
		Class string `json:"class"`
		Cache bool   `json:"cache"`
		Mode  string `json:"mode"`
		How   string `json:"how"`
	}
	carried struct {
		Name  string `json:"n"`
		Path  string `json:"p"`
		File  bool   `json:"f,omitempty"`
		What  string `json:"w"`
		Class string `json:"c"`
		Cache bool   `json:"cache,omitempty"`
		Mode  string `json:"m,omitempty"`
		How   string `json:"how,omitempty"`
	}
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compact:", err)
		os.Exit(1)
	}
}

func run() error {
	data, err := os.ReadFile("catalog.json")
	if err != nil {
		return err
	}
	var document struct {
		Version json.Number `json:"version"`
		Entries []member    `json:"entries"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("catalog.json: %w", err)
	}
	fmt.Printf(`{"version":%s,"entries":[`, document.Version)
	for i, e := range document.Entries {
		line, err := json.Marshal(carried(e))
		if err != nil {
			return err
		}
		separator := ",\n"
		if i == 0 {
			separator = "\n"
		}
		fmt.Printf("%s%s", separator, line)
	}
	fmt.Println("\n]}")
	return nil
}
