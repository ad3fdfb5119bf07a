package mounts

import (
	"maps"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
)

func TestParsePasswd(t *testing.T) {
	tests := []struct {
		text string
		want map[string]uint32
	}{
		{"", nil},
		{"root:x:0:0::/root:/bin/sh\nada:x:1000:100::/:\n", map[string]uint32{"root": 0, "ada": 1000}},
		{"users:x:100:\n", map[string]uint32{"users": 100}},
		{"first:x:1:\nfirst:x:2:\n", map[string]uint32{"first": 1}},
		{"a\nb:x\nc:x:3\n:x:4:\nd:x:-1:\ne:x:4294967295:\nf:x:4294967296:\ng:x: 7:\n#h:x:8:\n+::9:\ni:x:0x1:\n", map[string]uint32{"+": 9}},
		{"last:x:5:5", map[string]uint32{"last": 5}},
	}
	for _, test := range tests {
		if got := parsePasswd([]byte(test.text)); !maps.Equal(got, test.want) {
			t.Errorf("%q: %v, want %v", test.text, got, test.want)
		}
	}
}

func TestParseMap(t *testing.T) {
	tests := []struct {
		text string
		want map[string]uint32
	}{
		{`{"ada":1000,"app":999}`, map[string]uint32{"ada": 1000, "app": 999}},
		{`{"ada":1000,"app":-1}`, nil},
		{`{"ada":"1000"}`, nil},
		{`["ada"]`, nil},
		{`{"ada":10`, nil},
		{``, nil},
		{`null`, nil},
	}
	for _, test := range tests {
		if got := parseMap([]byte(test.text)); !maps.Equal(got, test.want) {
			t.Errorf("%q: %v, want %v", test.text, got, test.want)
		}
	}
}

func FuzzParsePasswd(f *testing.F) {
	f.Add([]byte("root:x:0:0::/root:/bin/sh\nx\n::\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name := range parsePasswd(data) {
			if strings.ContainsAny(name, ":\n") || name == "" {
				t.Errorf("name %q", name)
			}
		}
	})
}

func FuzzParseMap(f *testing.F) {
	f.Add([]byte(`{"ada":1000}`))
	f.Fuzz(func(_ *testing.T, data []byte) { parseMap(data) })
}

func FuzzParsePending(f *testing.F) {
	f.Add("ada:users:0700")
	f.Add("1000::0755")
	f.Fuzz(func(t *testing.T, text string) {
		owner, mode, err := parsePending(text)
		if err != nil {
			return
		}
		again, againMode, err := parsePending(formatPending(owner, mode))
		if err != nil || mode != againMode || owner.User != again.User || owner.Group != again.Group {
			t.Errorf("%q: %v %o, then %v %o (%v)", text, owner, mode, again, againMode, err)
		}
	})
}

func TestMountChange(t *testing.T) {
	const atime = unix.MOUNT_ATTR__ATIME
	tests := []struct {
		options string
		want    change
	}{
		{"", change{}},
		{"defaults", change{}},
		{"x-a,X-b=c", change{}},
		{"ro,nosuid,nodev,noexec,nosymfollow,nodiratime", change{
			unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC |
				unix.MOUNT_ATTR_NOSYMFOLLOW | unix.MOUNT_ATTR_NODIRATIME, 0,
		}},
		{"rw,suid", change{0, unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}},
		{"ro,rw", change{0, unix.MOUNT_ATTR_RDONLY}},
		{"rw,ro", change{unix.MOUNT_ATTR_RDONLY, 0}},
		{"noatime", change{unix.MOUNT_ATTR_NOATIME, atime}},
		{"noatime,strictatime", change{unix.MOUNT_ATTR_STRICTATIME, atime}},
		{"strictatime,atime", change{0, atime}},
		{"noatime,noexec,relatime", change{unix.MOUNT_ATTR_NOEXEC, atime}},
	}
	for _, test := range tests {
		if got := mountChange(strings.Split(test.options, ",")); got != test.want {
			t.Errorf("%q: %#x, want %#x", test.options, got, test.want)
		}
	}
}

// TestOptionTable makes sure that every option which the config lets through
// has a meaning here.
func TestOptionTable(t *testing.T) {
	known := map[string]bool{}
	for _, row := range optionTable {
		if known[row.name] {
			t.Errorf("%s stands there twice", row.name)
		}
		known[row.name] = true
	}
	for _, option := range strings.Fields("defaults ro rw exec noexec suid nosuid dev nodev atime noatime relatime " +
		"norelatime strictatime nostrictatime diratime nodiratime nosymfollow symfollow lazytime bind user") {
		document := `{"version":1,"root":{"kind":"none"},"stores":{"/p":{"directories":[{"path":"/a","options":["` + option + `"]}]}}}`
		_, err := config.Parse([]byte(document))
		if (err == nil) != known[option] {
			t.Errorf("%s: the config says %v, the table has it: %v", option, err, known[option])
		}
	}
}

func TestDefaultModes(t *testing.T) {
	tests := []struct {
		path      string
		directory bool
		want      uint32
	}{
		{"/var/log", true, 0o755},
		{"/etc/x", false, 0o644},
		{"/home", true, 0o755},
		{"/home/ada", true, 0o700},
		{"/home/ada/x", true, 0o700},
		{"/home/ada/x", false, 0o600},
		{"/root", true, 0o700},
		{"/root/x/y", false, 0o600},
		{"/rootless", true, 0o755},
		{"/homes/ada", true, 0o755},
		{"/tmp", true, 0o1777},
		{"/var/tmp", true, 0o1777},
		{"/var/lib/private", true, 0o700},
		{"/var/lib/private/x", true, 0o755},
	}
	for _, test := range tests {
		if got := defaultMode(test.path, test.directory); got != test.want {
			t.Errorf("%s, directory %v: %04o, want %04o", test.path, test.directory, got, test.want)
		}
	}
}

func TestParentAttributes(t *testing.T) {
	n := &names{read: func() (map[string]uint32, map[string]uint32) {
		return map[string]uint32{"ada": 1000, "app": 5}, map[string]uint32{"users": 100}
	}}
	ada := config.Entry{Path: "/home/ada/a/b", Owner: config.Owner{User: "ada", Group: "users"}}
	plain := config.Entry{Path: "/home/ada/a/b"}
	stranger := config.Entry{Path: "/home/eve/a", Owner: config.Owner{User: "app"}}
	explicit := config.Entry{Path: "/var/x/y", Parent: config.Parent{Owner: config.Owner{User: "app"}, Mode: number32(0o711)}}
	tests := []struct {
		path  string
		entry *config.Entry
		want  string
	}{
		{"/var", &plain, "0:0 0755"},
		{"/var/lib/private", &plain, "0:0 0700"},
		{"/home", &ada, "0:0 0755"},
		{"/home/ada", &ada, "1000:100 0700"},
		{"/home/ada/a", &ada, "1000:100 0755"},
		{"/home/ada", &plain, "1000:0 0700"},
		{"/home/eve", &stranger, "0:0 0700 until eve::0700 is known"},
		{"/var/x", &explicit, "5:0 0711"},
		{"/var", &explicit, "0:0 0755"},
	}
	for _, test := range tests {
		if got := parentAttributes(test.path, test.entry, n, nil).String(); got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
	}
}

func TestSteps(t *testing.T) {
	tests := []struct {
		step Step
		want string
	}{
		{Step{Verb: MakeDirectory, Path: "/var/log", as: attributes{mode: 0o755}, has: true}, "creating directory /var/log for 0:0 0755"},
		{Step{Verb: MountBind, Path: "/a", From: "/persist/a"}, "mounting /a from /persist/a"},
		{Step{Verb: MakeLink, Path: "/a", From: "/persist/a"}, "linking /a to /persist/a"},
		{Step{Verb: SetOwner, Path: "/a", as: attributes{uid: 1, gid: 2, mode: 0o1777}, has: true}, "giving /a to 1:2 1777"},
		{Step{Verb: CopyIn, Path: "/a\x1b[31m\n"}, `copying "/a\x1b[31m\n"`},
	}
	for _, test := range tests {
		if got := test.step.String(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
