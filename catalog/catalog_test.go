package catalog

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func load(t testing.TB) *Catalog {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// People come to rely on what the catalog knows: with fewer entries than this,
// some were lost.
const fewest = 350

func TestEntries(t *testing.T) {
	c := load(t)
	if n := len(c.Entries()); n < fewest {
		t.Errorf("%d entries, not %d", n, fewest)
	}
	var (
		name   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(/[a-z0-9-]+)?$`)
		mode   = regexp.MustCompile(`^[0-7]{4}$`)
		owner  = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)
		option = regexp.MustCompile(`^[a-z][A-Za-z0-9_*-]*(\.[A-Za-z0-9_*-]+)*$`)
	)
	names := make(map[string]bool)
	for _, e := range c.Entries() {
		refuse := func(wrong bool, what string) {
			if wrong {
				t.Errorf("%s: %s", e.Name, what)
			}
		}
		refuse(!name.MatchString(e.Name), "no name")
		refuse(names[e.Name], "the name of another entry, too")
		names[e.Name] = true
		refuse(e.What == "" || e.Why == "", "does not say what it is, and why it is kept or not")
		refuse(strings.TrimSpace(e.What) != e.What || strings.HasSuffix(e.What, "."), "what: not a few words")
		refuse(strings.TrimSpace(e.Why) != e.Why || strings.HasSuffix(e.Why, "."), "why: not a few words")
		refuse(e.Mode != "" && !mode.MatchString(e.Mode), "mode "+e.Mode)
		refuse(e.Mode == usualMode(e), "the usual mode, which need not be said")
		refuse(e.User != "" && !owner.MatchString(e.User), "user "+e.User)
		refuse(e.Group != "" && !owner.MatchString(e.Group), "group "+e.Group)
		refuse(e.User != "" && strings.HasPrefix(e.Path, "~/"), "belongs to the user whose home it is in")
		refuse(e.Cache && e.Kept(), "a cache that is kept")
		refuse(e.Subvolume && e.File, "a file is no subvolume")
		refuse(e.Always && !e.Kept(), "on every machine, but not kept")
		refuse(!e.Kept() && (e.How != "" || e.Options != nil || e.At != "" || e.Subvolume), "how to keep what is not kept")
		refuse(e.At != "" && e.Options == nil, "an option for its place, but none that brings it")
		for _, o := range append(slices.Clone(e.Options), e.At) {
			refuse(o != "" && !option.MatchString(o), "option "+o)
		}
		switch e.How {
		case "", "symlink":
		case "sync":
			refuse(!e.File, "sync is for files")
		default:
			t.Errorf("%s: how %q", e.Name, e.How)
		}
		for _, dir := range []string{"/nix", "/proc", "/sys", "/dev", "/run", "/boot"} {
			refuse(e.Path == dir || strings.HasPrefix(e.Path, dir+"/"), "on a file system of its own")
		}
	}
}

func usualMode(e Entry) string {
	inHome := strings.HasPrefix(e.Path, "~/")
	switch {
	case inHome && e.File:
		return "0600"
	case inHome:
		return "0700"
	case e.File:
		return "0644"
	}
	return "0755"
}

// What is lost with its parent, or kept with it, cannot be said otherwise of
// what lies below it: but a cache can go at any time.
func TestNothingContradictsWhatItLiesIn(t *testing.T) {
	c := load(t)
	byPath := make(map[string]Entry)
	for _, e := range c.Entries() {
		byPath[e.Path] = e
	}
	for _, e := range c.Entries() {
		for dir := path.Dir(e.Path); dir != "/" && dir != "." && dir != home; dir = path.Dir(dir) {
			above, found := byPath[dir]
			if !found {
				continue
			}
			if above.File {
				t.Errorf("%s lies in %s, which is a file", e.Name, above.Name)
			}
			if above.Kept() && !e.Kept() && !e.Cache {
				t.Errorf("%s is not kept, but %s, which it lies in, is", e.Name, above.Name)
			}
		}
	}
}

// The parts of a preset stand together, so that a reader sees all of it.
func TestGrouped(t *testing.T) {
	done := make(map[string]bool)
	last := ""
	for _, e := range load(t).Entries() {
		preset, _, _ := strings.Cut(e.Name, "/")
		if preset != last && done[preset] {
			t.Errorf("%s: away from the rest of %s", e.Name, preset)
		}
		done[preset], last = true, preset
	}
}

// One entry a line, with the fields in one order and without those that say
// nothing: then two versions can be compared.
func TestFormat(t *testing.T) {
	order := []string{
		"name", "path", "file", "what", "class", "why", "cache", "user", "group", "mode",
		"how", "subvolume", "always", "options", "at", "source",
	}
	lines := strings.Split(strings.TrimSuffix(embedded, "\n"), "\n")
	for i, line := range lines[1 : len(lines)-1] {
		line = strings.TrimSuffix(line, ",")
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("line %d: %v", i+2, err)
		}
		last := -1
		for _, key := range slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
			return strings.Index(line, `"`+a+`": `) - strings.Index(line, `"`+b+`": `)
		}) {
			at := slices.Index(order, key)
			if at < last {
				t.Errorf("line %d: %q stands too late", i+2, key)
			}
			last = at
			if v := fields[key]; v == "" || v == false || v == nil {
				t.Errorf("line %d: %q says nothing", i+2, key)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	c := load(t)
	for _, test := range []struct{ path, name string }{
		{"/etc/machine-id", "machine-id"},
		{"/etc/machine-id/x", ""},
		{"/etc/ssh", ""},
		{"/var/lib/bluetooth", "bluetooth"},
		{"/var/lib/bluetooth/AA:BB/info", "bluetooth"},
		{"/var/lib/bluetoothd", "services"},
		{"/var/lib", ""},
		{"/var/lib/systemd/timers/stamp-x.timer", "systemd/timers"},
		{"/var/lib/systemd/x", "systemd"},
		{"/var/lib/private/kea/x", "kea"},
		{"/var/lib/private/other", "private"},
		{"/var/lib/redis-main/dump.rdb", "redis"},
		{"/var/cache/cups/job.cache", "cups/cache"},
		{"/var/cache/anything", "var-cache"},
		{"/home", "home"},
		{"/home/gabriel", "home"},
		{"/home/gabriel/.ssh/id_ed25519", "ssh"},
		{"/home/gabriel/.sshd", "home"},
		{"/home/.ssh/x", "home"},
		{"/root/.ssh", "ssh"},
		{"/root/.nix-channels", "root-channels"},
		{"/root/.vimrc", "root-home"},
		{"/srv/people/ann/.ssh/id", "ssh"},
		{"/srv/people/ann", "srv"},
		{"/srv/people/annabel/.ssh/id", "srv"},
		{"/home/gabriel/.config/foot/foot.ini", "config"},
		{"/home/gabriel/.config/discord/Cache/x", "chromium-cache"},
		{"/home/gabriel/.config/a/b/Code Cache/js/x", "chromium-code-cache"},
		{"/home/gabriel/.config/Code Cache", "chromium-code-cache"},
		{"/home/gabriel/src/a/__pycache__/x.pyc", "python-cache"},
		{"/home/gabriel/.zcompdump-host-5.9", "zsh-compdump"},
		{"/home/gabriel/.var/app/org.x/cache/y", "flatpak-cache"},
		{"/home/gabriel/.var/app/org.x/data/y", "flatpak-data"},
		{"relative/.ssh", ""},
		{"/", ""},
		{"", ""},
	} {
		name := ""
		if e := c.Lookup(test.path, "/srv/people/ann"); e != nil {
			name = e.Name
		}
		if name != test.name {
			t.Errorf("Lookup(%q) = %q, want %q", test.path, name, test.name)
		}
	}
}

// Every entry is found by a path that it stands for.
func TestEveryEntryIsFound(t *testing.T) {
	c := load(t)
	example := strings.NewReplacer("**", "some/where", "*", "x", "~/", "/home/ann/")
	for i := range c.entries {
		e := &c.entries[i]
		p := example.Replace(e.Path)
		if found := c.Lookup(p); found != e {
			t.Errorf("Lookup(%q) = %v, want %s", p, found, e.Name)
		}
	}
}

func TestLookupTakesNoMemory(t *testing.T) {
	c := load(t)
	allocs := testing.AllocsPerRun(100, func() {
		c.Lookup("/home/gabriel/.config/discord/Service Worker/CacheStorage/x/y/z", "/srv/ann")
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestParseRefuses(t *testing.T) {
	at := func(path string) string {
		return `{"version": 1, "entries": [{"name": "a", "path": "` + path + `", "class": "no"}]}`
	}
	entry := func(fields string) string {
		return `{"version": 1, "entries": [{"name": "a", "path": "/a", "what": "a", "class": "no", "why": "a"` + fields + `}]}`
	}
	if _, err := Parse(entry("")); err != nil {
		t.Fatal(err)
	}
	for document, reason := range map[string]string{
		``:                                       "read catalog",
		`[]`:                                     "not an object",
		`{"entries": []}`:                        `version ""`,
		`{"version": 2, "entries": []}`:          `version "2"`,
		`{"version": "1", "entries": []}`:        `field "version"`,
		`{"version": 1, "more": 1}`:              `field "more"`,
		`{"version": 1, "entries": {}}`:          `field "entries"`,
		`{"version": 1, "entries": [1]}`:         "entry 0",
		`{"version": 1, "version": 1}`:           "twice",
		entry("") + "{}":                         "read catalog",
		entry("") + "x":                          "read catalog",
		entry(`, "colour": "red"`):               `field "colour"`,
		entry(`, "mode": 755`):                   `field "mode"`,
		entry(`, "file": "yes"`):                 `field "file"`,
		entry(`, "options": "a"`):                `field "options"`,
		entry(`, "options": [1]`):                `field "options"`,
		entry(`, "options": [["a"]]`):            "read catalog",
		entry(`, "why": "b"`):                    "twice",
		strings.Replace(entry(""), "no", "x", 1): `class "x"`,
		at(""):                                   "neither absolute",
		at("a"):                                  "neither absolute",
		at("~ann/a"):                             "neither absolute",
		at("/"):                                  "not clean",
		at("~/"):                                 "not clean",
		at("~"):                                  "neither absolute",
		at("/a/"):                                "not clean",
		at("/a//b"):                              "not clean",
		at("/a/../b"):                            "not clean",
		at("/a/[b"):                              "syntax error in pattern",
		at("/a/**"):                              "only one **",
		at("/**/a/**/b"):                         "only one **",
		`{"version": 1, "entries": [{"name": "a", "path": "/a", "class": "no"}, {"name": "b", "path": "/a", "class": "no"}]}`: `is that of "a", too`,
	} {
		_, err := Parse(document)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("Parse(%s): %v, want %q", document, err, reason)
		}
	}
}

// What docs/keeping.md says about the catalog is true.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/keeping.md")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string][]map[string]any
	_ = json.Unmarshal([]byte(embedded), &fields) // version is no list
	known := make(map[string]bool)
	for _, e := range fields["entries"] {
		for key := range e {
			known[key] = true
		}
	}
	for key := range known {
		if !bytes.Contains(text, []byte("| `"+key+"` |")) {
			t.Errorf("docs/keeping.md does not describe the field %q", key)
		}
	}
}

// slowLookup is Lookup without a tree: each entry is compared with the path and
// all that it lies in.
func slowLookup(c *Catalog, p string, homes ...string) *Entry {
	var best *Entry
	depth := 0
	for i := range c.entries {
		e := &c.entries[i]
		for n := strings.Count(p, "/"); n > 0; n-- {
			above := "/" + strings.Join(strings.Split(p, "/")[1:n+1], "/")
			if above != p && e.File || !standsFor(e, above, homes) {
				continue
			}
			if n > depth || n == depth && saysMore(e, best) {
				best, depth = e, n
			}
			break
		}
	}
	return best
}

func standsFor(e *Entry, p string, homes []string) bool {
	pattern, inHome := strings.CutPrefix(e.Path, "~/")
	if !inHome {
		return glob(strings.Split(e.Path, "/"), strings.Split(p, "/"))
	}
	below, depth := splitHome(p, homes)
	return depth > 0 && glob(strings.Split(pattern, "/"), strings.Split(below, "/"))
}

// saysMore tells which of two entries that stand for the same path counts: the
// first difference between them decides.
func saysMore(a, b *Entry) bool {
	as, bs := strings.Split(a.Path, "/"), strings.Split(b.Path, "/")
	rank := func(name string) int {
		switch {
		case name == "**":
			return 2
		case strings.ContainsAny(name, "*?["):
			return 1
		}
		return 0
	}
	for i := range min(len(as), len(bs)) {
		x, y := rank(as[i]), rank(bs[i])
		if x != y {
			return x < y
		}
		if as[i] != bs[i] && x == 1 {
			return len(as[i]) > len(bs[i])
		}
	}
	return false
}

func glob(pattern, names []string) bool {
	switch {
	case len(pattern) == 0:
		return len(names) == 0
	case pattern[0] == "**":
		return glob(pattern[1:], names) || len(names) > 0 && glob(pattern, names[1:])
	case len(names) == 0:
		return false
	}
	ok, err := path.Match(pattern[0], names[0])
	return err == nil && ok && glob(pattern[1:], names[1:])
}

// The tree finds what the comparison with all entries finds.
func FuzzLookup(f *testing.F) {
	c := load(f)
	for _, e := range c.Entries() {
		f.Add(strings.Replace(e.Path, "~", "/home/a", 1))
	}
	f.Add("/home/a/.config/a/Service Worker/CacheStorage/GPUCache/__pycache__")
	f.Add("/home//.ssh")
	f.Add("//")
	f.Fuzz(func(t *testing.T, p string) {
		if path.Clean("/"+p) != p || p == "/" {
			return // Lookup is for clean paths
		}
		if found, want := c.Lookup(p, "/srv/a"), slowLookup(c, p, "/srv/a"); found != want {
			t.Fatalf("Lookup(%q) = %v, want %v", p, found, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`{"version": 1, "entries": [{"name": "a", "path": "~/**/a*", "class": "no"}]}`, "/home/a/b/ac")
	f.Add(`{"version":1,"entries":["a|~/**/a*|what|nfcp|0750|sync","b"]}`, "/home/a/b/ac")
	f.Fuzz(func(t *testing.T, text, p string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		if e := c.Lookup(p); e != nil && !slices.ContainsFunc(c.entries, func(o Entry) bool { return o.Name == e.Name }) {
			t.Fatalf("an entry that is not there: %q", e.Name)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	c := load(b)
	for b.Loop() {
		c.Lookup("/home/gabriel/.config/discord/Service Worker/CacheStorage/x/y/z")
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}

// What the binary carries is what catalog.json says, without what only the NixOS
// module asks for.
func TestCarried(t *testing.T) {
	output, err := exec.Command("go", "run", "./compact").Output()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	carried, err := Parse(string(output))
	if err != nil || len(carried.Entries()) != len(whole.Entries()) {
		t.Fatalf("%d of %d entries, %v", len(carried.Entries()), len(whole.Entries()), err)
	}
	for i, want := range whole.Entries() {
		got := carried.Entries()[i]
		if got.Name != want.Name || got.Path != want.Path || got.What != want.What || got.Class != want.Class ||
			got.File != want.File || got.Cache != want.Cache || got.Mode != want.Mode || got.How != want.How {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for _, entries := range []string{`"a|/a|what"`, `["a|a|what"]`, `["a|/a|what","b|b|what"]`, `["a|/a|what","a|/a|what"]`, `[["a","/a","what"]]`, `[1]`} {
		if _, err := Parse(`{"version":1,"entries":` + entries + `}`); err == nil {
			t.Errorf("%s: no error", entries)
		}
	}
}
