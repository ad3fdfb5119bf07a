package keep

import (
	"strconv"
	"strings"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// passwdLimit bounds what is read of the user database, in bytes.
const passwdLimit = 4 << 20

// homes are the home directories of this machine's users, by directory.
type homes map[string]string

// readHomes reads them from passwd(5). Directories that many accounts of the
// system share are no homes.
func readHomes(path string) homes {
	h := homes{"/root": "root"}
	data, _ := sys.ReadPath(path, passwdLimit)
	for line := range strings.SplitSeq(string(data), "\n") {
		field := strings.Split(line, ":")
		if len(field) > 5 && strings.Count(field[5], "/") > 1 && strings.HasPrefix(field[5], "/home/") {
			h[strings.TrimSuffix(field[5], "/")] = field[0]
		}
	}
	return h
}

// userOf returns whose home a path lies in, and the path relative to that.
func (h homes) userOf(path string) (user, rel string) {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			if user, found := h[path[:i]]; found {
				return user, path[i+1:]
			}
		}
	}
	return "", path
}

// nix gives the lines that declare entries of a store.
func (h homes) nix(store string, entries []config.Entry) string {
	var names []string // of options, in the order in which they come
	lines, unnamed := map[string]string{}, ""
	for i := range entries {
		e := &entries[i]
		user, rel := h.userOf(e.Path)
		value, ok := format.Nix(rel)
		if !ok {
			unnamed += "# " + strconv.Quote(e.Path) + " cannot be written in Nix\n"
			continue
		}
		name, _ := format.Nix(store)
		name = "ebb.persist." + name
		if user != "" {
			name += ".users." + nixName(user)
		}
		if name += ".files"; e.Directory {
			name = strings.TrimSuffix(name, "files") + "directories"
		}
		if lines[name] == "" {
			names = append(names, name)
		}
		if e.How != config.Bind {
			value = "{ path = " + value + "; how = \"" + string(e.How) + "\"; }"
		}
		lines[name] += value + " "
	}
	text := ""
	for _, name := range names {
		text += name + " = [ " + lines[name] + "];\n"
	}
	return text + unnamed
}

// nixName quotes the name of an attribute where it has to be.
func nixName(s string) string {
	quoted, _ := format.Nix(s) // of a user, whose name no system lets be anything else
	if strings.Contains(" assert else if in inherit let or rec then with ", " "+s+" ") {
		return quoted
	}
	for i, c := range []byte(s) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return quoted
		}
	}
	return s
}
