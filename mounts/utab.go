package mounts

import (
	"bytes"
	"strings"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
)

// mark is a line of utab, where libmount keeps the options of mounts that only
// programs know. libmount adds them to a line of mountinfo that has the same
// source, target and root (mnt_table_merge_user_fs in its tab_parse.c).
//
// It would match by ID= or UNIQID= where a line has them, and then by nothing
// else. They are left out: a mount has other ids in every mount namespace, so
// that the options would be lost in services with a namespace of their own;
// and ids of the first kind are used again after an unmount.
type mark struct {
	source  string // field 10 of mountinfo
	target  string // as it is after switch-root
	root    string // field 4 of mountinfo
	options string // comma separated
}

// mark notes the options of the entry for utab.
func (p *placing) mark() {
	if p.run.dry || p.run.root.Utab == "" {
		return
	}
	info, err := p.run.table.find(p.source.status.MountID)
	if err != nil {
		p.note("no mount options in utab: " + err.Error())
		return
	}
	root, inside := rootInside(&info, p.run.rootPath()+p.result.Source)
	if !inside {
		p.note(format.Sprintf("no mount options in utab: %s is not below %s", p.result.Source, info.MountPoint))
		return
	}
	p.run.marks = append(p.run.marks, mark{
		source: info.Source, target: p.item.Entry.Path, root: root, options: programOptions(p.item.Entry),
	})
}

// rootInside returns what field 4 of mountinfo says of a bind mount of path:
// its place in the file system that the mount is of.
func rootInside(m *MountInfo, path string) (string, bool) {
	rest := path
	if m.MountPoint != "/" {
		var below bool
		rest, below = strings.CutPrefix(path, m.MountPoint)
		if !below || rest != "" && rest[0] != '/' {
			return "", false
		}
	}
	if m.Root == "/" && rest != "" {
		return rest, true
	}
	return m.Root + rest, true
}

// programOptions are the options of an entry for utab. With x-initrd.mount
// systemd takes a mount for one that is none of its business, and leaves it
// alone at shutdown, when what lies on it is still in use (systemd.mount(5)).
func programOptions(e *config.Entry) string {
	options := "x-initrd.mount"
	if e.Hidden {
		options += ",x-gvfs-hide"
	}
	if e.Trash {
		options += ",x-gvfs-trash"
	}
	for _, option := range e.Options {
		if strings.HasPrefix(option, "x-") || strings.HasPrefix(option, "X-") {
			options += "," + option
		}
	}
	return options
}

// String gives the line, in the order of fields of fprintf_utab_fs in
// libmount's tab_update.c, without the newline.
func (m *mark) String() string { return string(m.appendTo(nil)) }

func (m *mark) appendTo(line []byte) []byte {
	line = append(append(line, "SRC="...), escape(m.source)...)
	line = append(append(line, " TARGET="...), escape(m.target)...)
	line = append(append(line, " ROOT="...), escape(m.root)...)
	return append(append(line, " OPTS="...), escape(m.options)...)
}

// escape is mangle of libmount's mangle.c.
func escape(s string) string {
	if !strings.ContainsAny(s, " \t\n\\") {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		switch c {
		case ' ', '\t', '\n', '\\':
			b.Write([]byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// mergeUtab returns the contents of utab with the marks in it. Lines of the
// same mounts are replaced, all others stay as they are.
func mergeUtab(old []byte, marks []mark) []byte {
	ours := map[string]bool{}
	if len(old) > 0 { // in the initrd there is little or nothing
		for i := range marks {
			ours[marks[i].key()] = true
		}
	}
	text := make([]byte, 0, len(old)+96*len(marks))
	for line := range bytes.Lines(old) {
		if ours[keyOfLine(string(line))] {
			continue
		}
		text = append(append(text, bytes.TrimSuffix(line, []byte("\n"))...), '\n')
	}
	for i := range marks {
		text = append(marks[i].appendTo(text), '\n')
	}
	return text
}

// key tells mounts apart: source, target and root, as they stand in the line.
func (m *mark) key() string {
	return escape(m.source) + " " + escape(m.target) + " " + escape(m.root)
}

func keyOfLine(line string) string {
	var source, target, root string
	for field := range strings.FieldsFuncSeq(line, isBlank) {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "SRC":
			source = value
		case "TARGET":
			target = value
		case "ROOT":
			root = value
		}
	}
	return source + " " + target + " " + root
}

// isBlank reports what libmount ends a value at; everything else, a carriage
// return for example, is part of it.
func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' }
