// Compact prints catalog.json without what only the NixOS module asks for, one text for
// each entry, in which bars separate its members: what the binary carries of it. It is
// run where catalog.json is, see scripts/build.
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

// private is the mode that most have of those that have one.
const private = "0700"

// letters stand for what is said of an entry in one word.
func (m *member) letters() string {
	letters := map[string]string{"must": "", "should": "s", "no": "n"}[m.Class]
	if m.File {
		letters += "f"
	}
	if m.Cache {
		letters += "c"
	}
	if m.Mode == private {
		letters += "p"
	}
	return letters
}

// text is what is printed of it, for catalog.Entry.unpack. What most have is empty,
// and what is empty is left out at the end.
func (m *member) text() (string, error) {
	where := m.Path
	if where == "/var/lib/"+m.Name {
		where = ""
	}
	mode := m.Mode
	if mode == private {
		mode = ""
	}
	list := []string{m.Name, where, m.What, m.letters(), mode, m.How}
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
