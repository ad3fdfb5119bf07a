package config

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// document is a whole valid config with every field of the format.
func document(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/whole.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ptr(n uint32) *uint32 { return &n }

func TestParseWhole(t *testing.T) {
	c, err := Parse([]byte(document(t)))
	if err != nil {
		t.Fatal(err)
	}
	wantRoot := Root{
		Kind: KindBtrfs, OnFailure: Emergency,
		Device: "/dev/disk/by-label/nixos", Options: []string{"compress=zstd", "noatime"},
		Subvolume: "nixos/@", Blank: "@blank", Archive: "@roots",
		Also: []Also{{Name: "home", Subvolume: "@home", Blank: "@home-blank"}, {Name: "srv", Subvolume: "@srv"}},
		Keep: Keep{Count: 7, Days: 14, MinFreePercent: 5},
	}
	if !reflect.DeepEqual(c.Root, wantRoot) {
		t.Errorf("root:\n got %+v\nwant %+v", c.Root, wantRoot)
	}
	if want := (Adopt{Files: 1000, CopiedBytes: 64 << 20}); c.Adopt != want {
		t.Errorf("adopt: got %+v, want %+v", c.Adopt, want)
	}
	if len(c.Stores) != 2 || c.Stores[0].Path != "/persist" || c.Stores[1].Path != "/cache" {
		t.Fatalf("stores are not in the order of the document: %+v", c.Stores)
	}
	if c.Stores[0].Mounted || !c.Stores[1].Mounted {
		t.Errorf("mounted: %+v", c.Stores)
	}
	wantEntry := Entry{
		Path: "/home/gabriel/.ssh", Directory: true, How: Bind,
		Owner:  Owner{User: "gabriel", UID: ptr(1000), Group: "users", GID: ptr(100)},
		Mode:   ptr(0o700),
		Parent: Parent{Owner: Owner{User: "gabriel", Group: "users"}, Mode: ptr(0o711)},
		Hidden: true, Trash: true, Subvolume: true, NoDataCOW: true, Required: true,
		Options: []string{"noexec", "x-example=1"},
		index:   1,
	}
	if got := c.Stores[0].Entries[1]; !reflect.DeepEqual(got, wantEntry) {
		t.Errorf("entry:\n got %+v\nwant %+v", got, wantEntry)
	}
	if got := c.Stores[0].Place(&c.Stores[0].Entries[1]); got != "stores./persist.directories[1]" {
		t.Errorf("place: got %q", got)
	}
	if got := c.Stores[0].Source(&c.Stores[0].Entries[1]); got != "/persist/home/gabriel/.ssh" {
		t.Errorf("source: got %q", got)
	}
}

func TestParseDefaults(t *testing.T) {
	c, err := Parse([]byte(`{"version": 1, "root": {"kind": "btrfs", "device": "/dev/vda2"},
		"stores": {"/persist": {"files": [{"path": "/etc/machine-id"}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Root: Root{
			Kind: KindBtrfs, OnFailure: Continue, Device: "/dev/vda2",
			Subvolume: "@", Blank: "@blank", Archive: "@roots",
			Keep: Keep{Count: 5, Days: 30, MinFreePercent: 10},
		},
		Stores: []Store{{Path: "/persist", Entries: []Entry{
			{Path: "/etc/machine-id", How: Bind},
		}}},
		Adopt: Adopt{Files: 50_000, CopiedBytes: 1 << 30},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// Bounds of nothing leave out all that counts: a directory with anything in it, and
// data that cannot be shared.
func TestParseAdoptNothing(t *testing.T) {
	c, err := Parse([]byte(`{"version": 1, "root": {"kind": "none"}, "stores": {}, "adopt": {"files": 0, "copied_bytes": "0"}}`))
	if err != nil || c.Adopt != (Adopt{Files: 1, CopiedBytes: 1}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestParseOtherKinds(t *testing.T) {
	for _, test := range []struct {
		root string
		want Root
	}{
		{`{"kind": "none"}`, Root{Kind: KindNone, OnFailure: Continue}},
		{`{"kind": "tmpfs"}`, Root{Kind: KindTmpfs, OnFailure: Continue, Mode: 0o755}},
		{
			`{"kind": "tmpfs", "size": "2G", "mode": "1755", "inodes": "1M", "options": ["noexec"]}`,
			Root{Kind: KindTmpfs, OnFailure: Continue, Mode: 0o1755, Size: Size{Bytes: 2 << 30}, Inodes: 1 << 20, Options: []string{"noexec"}},
		},
		{`{"kind": "tmpfs", "size": "33%"}`, Root{Kind: KindTmpfs, OnFailure: Continue, Mode: 0o755, Size: Size{RAMPercent: 33}}},
		{`{"kind": "tmpfs", "size": 4096}`, Root{Kind: KindTmpfs, OnFailure: Continue, Mode: 0o755, Size: Size{Bytes: 4096}}},
		{
			`{"kind": "tmpfs", "size": {"bytes": "2G", "ram_percent": 33}}`,
			Root{Kind: KindTmpfs, OnFailure: Continue, Mode: 0o755, Size: Size{Bytes: 2 << 30, RAMPercent: 33}},
		},
	} {
		c, err := Parse([]byte(`{"version": 1, "root": ` + test.root + `}`))
		if err != nil {
			t.Errorf("%s: %v", test.root, err)
			continue
		}
		if !reflect.DeepEqual(c.Root, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.root, c.Root, test.want)
		}
	}
}

// entry puts one directory entry into an otherwise valid document.
func entry(members string) string {
	return `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [{` + members + `}]}}}`
}

func file(members string) string {
	return `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"files": [{` + members + `}]}}}`
}

func btrfs(members string) string {
	return `{"version": 1, "root": {"kind": "btrfs", "device": "/dev/vda2", ` + members + `}}`
}

func tmpfs(members string) string {
	return `{"version": 1, "root": {"kind": "tmpfs", ` + members + `}}`
}

// Each row is a document and all that is to be said about it, in order.
var refusals = []struct {
	name, document string
	want           []string
}{
	{"empty", ``, []string{`line 1, column 1: the document ends in the middle`}},
	{"cut", `{"version": 1,`, []string{`line 1, column 15: the document ends in the middle`}},
	{"not an object", `[]`, []string{`a list: not an object`}},
	{"trailing", `{"version": 1, "root": {"kind": "none"}} {}`, []string{`line 1, column 42: invalid character '{' after top-level value`}},
	{"not UTF-8", "{\"version\": \"\xff\"}", []string{`is not valid UTF-8`}},
	{"deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), []string{`line 1, column 18: nested deeper than 16 levels`}},
	{"no version", `{"root": {"kind": "none"}}`, []string{`version: is missing, write 1`}},
	{"version of a later ebb", `{"version": 2, "root": {"kind": "zfs"}}`, []string{`version: 2: this ebb reads version 1 only`}},
	{"a fraction of a version", `{"version": 1.5, "root": {"kind": "zfs"}}`, []string{`version: 1.5: not an integer from 0 to 2147483648`}},
	{"version as text", `{"version": "1", "root": {"kind": "none"}}`, []string{`version: "1": not a number`}},
	{"no version, and more", `{"root": {"kind": "zfs"}, "x": 1}`, []string{
		`version: is missing, write 1`, `root.kind: "zfs": not one of btrfs, tmpfs, none`, `x: unknown field`,
	}},
	{"version as text, and more", `{"stores": {"persist": {}}, "version": null}`, []string{
		`version: null: not a number`, `stores.persist: "persist": not an absolute path`, `root: is missing`,
	}},
	{"no root", `{"version": 1}`, []string{`root: is missing`}},
	{"unknown field", `{"version": 1, "root": {"kind": "none"}, "store": {}}`, []string{`store: unknown field`}},
	{"field twice", `{"version": 1, "root": {"kind": "none"}, "root": {"kind": "none"}}`, []string{`root: stands there twice`}},
	{"field in other case", `{"version": 1, "Root": {"kind": "none"}}`, []string{`Root: unknown field`, `root: is missing`}},
	{"word", `{"version": nil}`, []string{`line 1, column 14: invalid character 'i' in literal null (expecting 'u')`}},
	{"null", `{"version": 1, "root": {"kind": "none"}, "stores": null}`, []string{`stores: null: not an object`}},

	{"unknown kind", `{"version": 1, "root": {"kind": "zfs"}}`, []string{`root.kind: "zfs": not one of btrfs, tmpfs, none`}},
	{"no kind", `{"version": 1, "root": {}}`, []string{`root.kind: is missing, write one of btrfs, tmpfs, none`}},
	{"field of another kind", tmpfs(`"device": "/dev/vda2"`), []string{`root.device: does not belong to a root of kind tmpfs`}},
	{"no device", `{"version": 1, "root": {"kind": "btrfs"}}`, []string{`root.device: is missing`}},
	{"device not below /dev", `{"version": 1, "root": {"kind": "btrfs", "device": "/etc/passwd"}}`, []string{`root.device: "/etc/passwd": not below /dev`}},
	{"/dev/root", `{"version": 1, "root": {"kind": "btrfs", "device": "/dev/root"}}`, []string{`root.device: "/dev/root": a systemd initrd has no such device, name the real one`}},
	{"bad policy", btrfs(`"on_failure": "panic"`), []string{`root.on_failure: "panic": not one of continue, emergency`}},
	{"subvolume absolute", btrfs(`"subvolume": "/@"`), []string{`root.subvolume: "/@": write it without the leading slash, it is below the top-level subvolume anyhow`}},
	{"subvolume with ..", btrfs(`"subvolume": "../@"`), []string{`root.subvolume: "../@": holds ".."`}},
	{"subvolume not clean", btrfs(`"subvolume": "nixos//@"`), []string{`root.subvolume: "nixos//@": not a clean path, write "nixos/@"`}},
	{"subvolume empty", btrfs(`"subvolume": ""`), []string{`root.subvolume: "": not the name of a subvolume`}},
	{"blank is the root", btrfs(`"blank": "@"`), []string{`root.blank: "@": is the same as root.subvolume`}},
	{"archive in the root", btrfs(`"archive": "@/roots"`), []string{`root.archive: "@/roots": lies in root.subvolume ("@")`}},
	{"root in the archive", btrfs(`"subvolume": "@roots/@"`), []string{`root.subvolume: "@roots/@": lies in root.archive ("@roots")`}},
	{"also is the root", btrfs(`"also": [{"name": "home", "subvolume": "@"}]`), []string{`root.also[0].subvolume: "@": is the same as root.subvolume`}},
	{"also without names", btrfs(`"also": [{}]`), []string{`root.also[0].name: is missing`, `root.also[0].subvolume: is missing`}},
	{"also twice", btrfs(`"also": [{"name": "h", "subvolume": "@a"}, {"name": "h", "subvolume": "@b"}]`), []string{`root.also[1].name: "h": taken by another one`}},
	{"also takes the name of the root", btrfs(`"also": [{"name": "root", "subvolume": "@a"}]`), []string{`root.also[0].name: "root": is taken in the archive`}},
	{"also with a slash", btrfs(`"also": [{"name": "a/b", "subvolume": "@a"}]`), []string{`root.also[0].name: "a/b": not a plain name of letters, digits, dot, dash and underscore`}},
	{"keep negative", btrfs(`"keep": {"count": -1}`), []string{`root.keep.count: -1: not an integer from 0 to 1000000`}},
	{"keep fraction", btrfs(`"keep": {"days": 1.5}`), []string{`root.keep.days: 1.5: not an integer from 0 to 1000000`}},
	{"keep percent", btrfs(`"keep": {"min_free_percent": 101}`), []string{`root.keep.min_free_percent: 101: not an integer from 0 to 100`}},
	{"other subvol in options", btrfs(`"options": ["subvol=@old"]`), []string{`root.options[0]: "subvol=@old": the root that is rolled back is "@"`}},
	{"subvolid in options", btrfs(`"options": ["noatime", "subvolid=256"]`), []string{`root.options[1]: "subvolid=256": the id of the root changes at each boot, write subvol=@`}},
	{"two options in one", btrfs(`"options": ["noatime,ro"]`), []string{`root.options[0]: "noatime,ro": a mount option has no blanks, commas, quotes, backslashes or control characters`}},

	{"bad size", tmpfs(`"size": "2 GiB"`), []string{`root.size: "2 GiB": not a size, write bytes or a number with K, M, G or T`}},
	{"size of nothing", tmpfs(`"size": "0"`), []string{`root.size: "0": must be more than nothing`}},
	{"size too large", tmpfs(`"size": "99999999T"`), []string{`root.size: "99999999T": too large`}},
	{"negative size", tmpfs(`"size": -1`), []string{`root.size: "-1": not a size, write bytes or a number with K, M, G or T`}},
	{"share of nothing", tmpfs(`"size": "0%"`), []string{`root.size: "0%": not a share from 1% to 100%`}},
	{"share too large", tmpfs(`"size": "101%"`), []string{`root.size: "101%": not a share from 1% to 100%`}},
	{"size object empty", tmpfs(`"size": {}`), []string{`root.size: needs bytes, ram_percent or both`}},
	{"ram_percent of nothing", tmpfs(`"size": {"ram_percent": 0}`), []string{`root.size.ram_percent: must be from 1 to 100`}},
	{"root mode shuts root out", tmpfs(`"mode": "0055"`), []string{`root.mode: 055: the owner needs rwx on the root`}},

	{"store relative", `{"version": 1, "root": {"kind": "none"}, "stores": {"persist": {}}}`, []string{`stores.persist: "persist": not an absolute path`}},
	{"store is the root", `{"version": 1, "root": {"kind": "none"}, "stores": {"/": {}}}`, []string{`stores./: the root itself cannot be a store`}},
	{"store twice", `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {}, "/persist": {}}}`, []string{`stores./persist: stands there twice`}},

	{"no path", entry(`"mode": "0700"`), []string{`stores./persist.directories[0].path: is missing`}},
	{"relative", entry(`"path": "var/log"`), []string{`stores./persist.directories[0].path: "var/log": not an absolute path`}},
	{"empty path", entry(`"path": ""`), []string{`stores./persist.directories[0].path: "": an empty path`}},
	{"trailing slash", entry(`"path": "/var/log/"`), []string{`stores./persist.directories[0].path: "/var/log/": not a clean path, write "/var/log"`}},
	{"dot dot", entry(`"path": "/var/../etc"`), []string{`stores./persist.directories[0].path: "/var/../etc": holds ".."`}},
	{"NUL", entry(`"path": "/var/\u0000"`), []string{`stores./persist.directories[0].path: "/var/\x00": holds a NUL`}},
	{"long name", entry(`"path": "/` + strings.Repeat("n", 256) + `"`), []string{`stores./persist.directories[0].path: a name of 256 bytes in the path is longer than 255`}},
	{"long path", entry(`"path": "` + strings.Repeat("/nn", 1100) + `"`), []string{`stores./persist.directories[0].path: a path of 3300 bytes is longer than 3072`}},
	{"path of a wrong type", entry(`"path": 7`), []string{`stores./persist.directories[0].path: 7: not a string`}},
	{"the root", entry(`"path": "/"`), []string{`stores./persist.directories[0].path: "/": the root itself cannot be an entry`}},
	{"the nix store", entry(`"path": "/nix/store"`), []string{`stores./persist.directories[0].path: "/nix/store": lies on /nix/store: the store is not ebb's to change`}},
	{"below proc", entry(`"path": "/proc/sys"`), []string{`stores./persist.directories[0].path: "/proc/sys": lies on /proc: the kernel's own file system is mounted there`}},
	{"the store itself", entry(`"path": "/persist"`), []string{`stores./persist.directories[0].path: "/persist": is a store`}},
	{"in the store", entry(`"path": "/persist/a"`), []string{`stores./persist.directories[0].path: "/persist/a": lies in the store /persist`}},
	{
		"above a store", `{"version": 1, "root": {"kind": "none"}, "stores": {"/mnt/persist": {"directories": [{"path": "/mnt"}]}}}`,
		[]string{`stores./mnt/persist.directories[0].path: "/mnt": would hide the store /mnt/persist`},
	},
	{"bad mode", entry(`"path": "/a", "mode": "0999"`), []string{`stores./persist.directories[0].mode: "0999": not an octal mode`}},
	{"mode too long", entry(`"path": "/a", "mode": "100755"`), []string{`stores./persist.directories[0].mode: "100755": not an octal mode`}},
	{"mode as a number", entry(`"path": "/a", "mode": 755`), []string{`stores./persist.directories[0].mode: 755: not a string`}},
	{"user with a colon", entry(`"path": "/a", "user": "a:b"`), []string{`stores./persist.directories[0].user: "a:b": not a name of a user or group`}},
	{"uid for none", entry(`"path": "/a", "uid": 4294967295`), []string{`stores./persist.directories[0].uid: 4294967295: not an integer from 0 to 4294967294`}},
	{"how", entry(`"path": "/a", "how": "copy"`), []string{`stores./persist.directories[0].how: "copy": not one of bind, symlink, sync`}},
	{"sync of a directory", entry(`"path": "/a", "how": "sync"`), []string{`stores./persist.directories[0].how: "sync": is for files only, a directory can be bound`}},
	{"file as a subvolume", file(`"path": "/a", "subvolume": true`), []string{`stores./persist.files[0].subvolume: a file cannot be a subvolume`}},
	{"options without a mount", file(`"path": "/a", "how": "symlink", "options": ["ro"]`), []string{`stores./persist.files[0].options: need how "bind": nothing is mounted for "symlink"`}},
	{"option of a file system", entry(`"path": "/a", "options": ["compress=zstd"]`), []string{`stores./persist.directories[0].options[0]: "compress=zstd": not an option that a bind mount can have`}},
	{"flag as text", entry(`"path": "/a", "hidden": "yes"`), []string{`stores./persist.directories[0].hidden: "yes": not true or false`}},
	{"parent", entry(`"path": "/a", "parent": {"mode": "x", "name": "y"}`), []string{
		`stores./persist.directories[0].parent.mode: "x": not an octal mode`,
		`stores./persist.directories[0].parent.name: unknown field`,
	}},

	{
		"twice", `{"version": 1, "root": {"kind": "none"}, "stores": {"/persist": {"directories": [{"path": "/a"}], "files": [{"path": "/a"}]}}}`,
		[]string{`stores./persist.files[0].path: "/a": stands there twice, first as stores./persist.directories[0]`},
	},
	{
		"two stores, one target", `{"version": 1, "root": {"kind": "none"}, "stores": {"/p": {"directories": [{"path": "/a"}]}, "/q": {"directories": [{"path": "/a"}]}}}`,
		[]string{`stores./q.directories[0].path: "/a": the store /p has it, too (stores./p.directories[0])`},
	},
	{"inside another", entry(`"path": "/a/b"}, {"path": "/a"`), []string{`stores./persist.directories[0].path: "/a/b": lies in /a (stores./persist.directories[1]), which brings it along`}},
	{
		"inside a file", `{"version": 1, "root": {"kind": "none"}, "stores": {"/p": {"files": [{"path": "/a"}]}, "/q": {"files": [{"path": "/a/b"}]}}}`,
		[]string{`stores./q.files[0].path: "/a/b": lies in the file /a (stores./p.files[0])`},
	},
	{
		"behind a link", `{"version": 1, "root": {"kind": "none"}, "stores": {"/p": {"directories": [{"path": "/a", "how": "symlink"}]}, "/q": {"files": [{"path": "/a/b"}]}}}`,
		[]string{`stores./q.files[0].path: "/a/b": lies behind the symbolic link /a (stores./p.directories[0]), bind that one`},
	},

	{
		"all in one go", `{"version": 1, "root": {"kind": "zfs", "x": 1}, "stores": {"/persist": {"directories": [{"path": "a"}, {"path": "/b", "mode": "9"}]}}}`,
		[]string{
			`root.kind: "zfs": not one of btrfs, tmpfs, none`,
			`root.x: unknown field`,
			`stores./persist.directories[0].path: "a": not an absolute path`,
			`stores./persist.directories[1].mode: "9": not an octal mode`,
		},
	},
}

func TestParseRefuses(t *testing.T) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse([]byte(test.document))
			var problems Problems
			if c != nil || !errors.As(err, &problems) {
				t.Fatalf("got config %+v and error %v, want problems", c, err)
			}
			if got, want := err.Error(), strings.Join(test.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What is near a refusal and is fine.
func TestParseAccepts(t *testing.T) {
	for name, doc := range map[string]string{
		"neighbours with one prefix":   entry(`"path": "/a"}, {"path": "/ab"}, {"path": "/a.b"`),
		"nested across stores":         `{"version": 1, "root": {"kind": "none"}, "stores": {"/p": {"directories": [{"path": "/home/u"}]}, "/q": {"directories": [{"path": "/home/u/.cache"}]}}}`,
		"/nix, but not its store":      entry(`"path": "/nix"`),
		"next to a store":              entry(`"path": "/persistent"`),
		"below a name like a store":    entry(`"path": "/a/persist"`),
		"names with spaces and escape": entry(`"path": "/home/u/VirtualBox VMs/\u001b\n"`),
		"store with a shared prefix":   `{"version": 1, "root": {"kind": "none"}, "stores": {"/p": {}, "/p2": {}}}`,
		"one blank for two":            btrfs(`"also": [{"name": "home", "subvolume": "@home", "blank": "@blank"}]`),
		"subvol of the root itself":    btrfs(`"options": ["subvol=/@", "x-initrd.mount", "compress=zstd"]`),
		"escapes and white space":      "\t{ \"version\" :\r\n1 , \"r\\u006fot\":{\"kind\":\"none\"} , \"stores\":{ } } \n",
		"no stores":                    `{"version": 1, "root": {"kind": "none"}, "stores": {}}`,
		"mode of three digits":         entry(`"path": "/a", "mode": "755"`),
		"name of 255 bytes":            entry(`"path": "/` + strings.Repeat("n", 255) + `"`),
		"hidden link":                  file(`"path": "/a", "how": "symlink", "hidden": true`),
	} {
		if _, err := Parse([]byte(doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRefusesLongDocument(t *testing.T) {
	_, err := Parse(make([]byte, MaxBytes+1))
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse holds Parse to what a valid config promises to the rest of ebb.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document(f)))
	for _, test := range refusals {
		f.Add([]byte(test.document))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			if c != nil {
				t.Error("a config beside an error")
			}
			return
		}
		seen := map[string]bool{}
		for _, store := range c.Stores {
			for _, e := range store.Entries {
				if !strings.HasPrefix(e.Path, "/") || strings.HasSuffix(e.Path, "/") || strings.Contains(e.Path, "//") ||
					strings.Contains(e.Path+"/", "/../") || strings.ContainsRune(e.Path, 0) || seen[e.Path] {
					t.Errorf("entry %q got through", e.Path)
				}
				seen[e.Path] = true
			}
		}
		if c.Root.Kind == KindBtrfs && (c.Root.Subvolume == "" || c.Root.Archive == "" || c.Root.Subvolume == c.Root.Archive) {
			t.Errorf("root %+v got through", c.Root)
		}
	})
}
