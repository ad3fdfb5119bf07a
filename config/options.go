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
func (d *decoder) mountOptions(at string, value any) (options []string) {
	d.list(at, value, func(at string, v any) {
		if s := d.text(at, v); d.checkOption(at, s) {
			options = append(options, s)
		}
	})
	return options
}

// checkOption refuses what would be read as two options, or break a line of
// utab, by whatever reads it next.
func (d *decoder) checkOption(at, s string) bool {
	if s == "" {
		d.refuse(at, "%q: not a mount option", s)
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c == ',' || c == '"' || c == '\\' || c == 0x7f {
			d.refuse(at, "%q: a mount option has no blanks, commas, quotes, backslashes or control characters", s)
			return false
		}
	}
	return true
}

// entryOptions reads the mount options of an entry: those of a bind mount,
// and x-..., which only programs look at.
func (d *decoder) entryOptions(at string, value any) (options []string) {
	d.list(at, value, func(at string, v any) {
		s := d.text(at, v)
		switch {
		case !d.checkOption(at, s):
		case strings.HasPrefix(s, "x-") || strings.HasPrefix(s, "X-"), contains(vfsOptions, s):
			options = append(options, s)
		default:
			d.refuse(at, "%q: not an option that a bind mount can have", s)
		}
	})
	return options
}
