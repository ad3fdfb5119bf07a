// Compact prints catalog.json without what only the NixOS module asks for, one
// text for each entry, in which a bar separates its members: what the binary carries
// of it. It is run where catalog.json is, see scripts/build.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// member is what is carried of an entry.
type member struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	What  string `json:"what"`
	Class string `json:"class"`
	File  bool   `json:"file"`
	Cache bool   `json:"cache"`
	Mode  string `json:"mode"`
	How   string `json:"how"`
}

// text is what is printed of it, in the order of catalog.carried. What most have
// is empty, and what is empty is left out at the end.
func (m *member) text() (string, error) {
	flag := func(is bool) string {
		if is {
			return "1"
		}
		return ""
	}
	where, class := m.Path, m.Class
	if where == "/var/lib/"+m.Name {
		where = ""
	}
	if class == "must" {
		class = ""
	}
	list := []string{m.Name, where, m.What, class, flag(m.File), flag(m.Cache), m.Mode, m.How}
	for len(list) > 0 && list[len(list)-1] == "" {
		list = slices.Delete(list, len(list)-1, len(list))
	}
	text := strings.Join(list, "|")
	if strings.Count(text, "|") != len(list)-1 {
		return "", fmt.Errorf("entry %s has the separator in it", m.Name)
	}
	return text, nil
}

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
		text, err := e.text()
		if err != nil {
			return err
		}
		line, err := json.Marshal(text)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Print(",")
		}
		fmt.Printf("%s", line)
	}
	fmt.Println("]}")
	return nil
}
