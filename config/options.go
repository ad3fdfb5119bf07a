package config

import "strings"

// vfsOptions are the mount options that concern a single mount rather than the
// file system behind it, so that a bind mount can have them (mount(8),
// "FILESYSTEM-INDEPENDENT MOUNT OPTIONS"; mount_setattr(2)).
var vfsOptions = []string{
	"defaults",
	"ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev",
	"atime", "noatime", "relatime", "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime",
	"nosymfollow", "symfollow",
}

// mountOptions reads options of a file system, each in a string of its own.
// The file system itself judges what they mean.
func (d *decoder) mountOptions(value any) (options []string) {
	d.list(value, func(v any) {
		if s := d.text(v); d.checkOption(s) {
			options = append(options, s)
		}
	})
	return options
}

// checkOption refuses what would be read as two options, or break a line of
// utab, by whatever reads it next.
func (d *decoder) checkOption(s string) bool {
	if s == "" {
		d.refuse("%q: not a mount option", s)
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c == ',' || c == '"' || c == '\\' || c == 0x7f {
			d.refuse("%q: a mount option has no blanks, commas, quotes, backslashes or control characters", s)
			return false
		}
	}
	return true
}

// entryOptions reads the mount options of an entry: those of a bind mount,
// and x-..., which only programs look at.
func (d *decoder) entryOptions(value any) (options []string) {
	d.list(value, func(v any) {
		s := d.text(v)
		switch {
		case !d.checkOption(s):
		case strings.HasPrefix(s, "x-") || strings.HasPrefix(s, "X-"), contains(vfsOptions, s):
			options = append(options, s)
		default:
			d.refuse("%q: not an option that a bind mount can have", s)
		}
	})
	return options
}
