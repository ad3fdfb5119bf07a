package keep

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
)

// Names in a store.
const (
	ownDirectory = ".ebb" // root's alone
	listName     = "kept.json"
)

// list is kept.json as it is written. What reads it is [config.ParseKept].
type list struct {
	Version     int     `json:"version"`
	Directories []entry `json:"directories"`
	Files       []entry `json:"files"`
}

// entry has the owner and the mode that the data had when it was kept: should
// the store lose it, it is made anew for the same user.
type entry struct {
	Path    string     `json:"path"`
	How     config.How `json:"how"`
	User    string     `json:"user,omitempty"`
	Group   string     `json:"group,omitempty"`
	UID     *uint32    `json:"uid,omitempty"`
	GID     *uint32    `json:"gid,omitempty"`
	Mode    string     `json:"mode,omitempty"`
	Options []string   `json:"options,omitempty"`
	Hidden  bool       `json:"hidden,omitempty"`
	Trash   bool       `json:"trash,omitempty"`
	Kept    string     `json:"kept"`
}

// List reads what was kept in each of the stores, below the root that rootFd is
// open on. Where that is not possible, or an entry is not as it has to be, the
// problems say so, and the rest counts.
func List(rootFd int, stores []config.Store) (kept [][]config.Entry, problems config.Problems) {
	kept = make([][]config.Entry, len(stores))
	for i := range stores {
		store := stores[i].Path
		data, err := readList(rootFd, store)
		if err != nil {
			problems = append(problems, config.Problem{Place: store + config.KeptPath, Reason: err.Error()})
			continue
		}
		if data == nil {
			continue
		}
		entries, refused := config.ParseKept(data, store)
		kept[i] = entries
		for _, p := range refused {
			problems = append(problems, config.Problem{Place: strings.TrimSuffix(store+config.KeptPath+" "+p.Place, " "), Reason: p.Reason})
		}
	}
	return kept, problems
}

// readList returns the text of the list of a store, nil when it has none.
func readList(rootFd int, store string) ([]byte, error) {
	dir, err := openOwn(rootFd, store, false)
	if err == nil {
		defer unix.Close(dir)
		var data []byte
		if data, err = sys.ReadFile(dir, listName, config.KeptMaxBytes); err == nil {
			return data, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// openOwn opens the directory in a store that is ebb's own. It says what is to
// be mounted as root, and so has to be root's alone.
func openOwn(rootFd int, store string, create bool) (int, error) {
	base, err := sys.OpenBeneath(rootFd, strings.TrimPrefix(store, "/"), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(base)
	if create {
		if err := sys.MakeDirectory(base, ownDirectory, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return -1, err
		}
	}
	dir, err := sys.OpenComponent(base, ownDirectory, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	status, err := sys.Stat(dir)
	if err == nil && (status.UID != 0 || status.Permissions()&0o077 != 0) {
		err = format.Errorf("%s/%s belongs to uid %d, mode %04o, and not to root alone", store, ownDirectory, status.UID, status.Permissions())
	}
	if err != nil {
		unix.Close(dir)
		return -1, err
	}
	return dir, nil
}

// change rewrites the list of a store, durably and in one step. A list that is
// damaged is not overwritten.
func change(rootFd int, store string, do func([]config.Entry) []config.Entry) error {
	dir, err := openOwn(rootFd, store, true)
	if err == nil {
		err = sys.SyncFilesystem(dir) // what it is about to list, whoever has put it there
	}
	if err != nil {
		return format.Errorf("open %s/%s: %w", store, ownDirectory, err)
	}
	defer unix.Close(dir)
	data, err := sys.ReadFile(dir, listName, config.KeptMaxBytes)
	var entries []config.Entry
	if err == nil {
		var problems config.Problems
		if entries, problems = config.ParseKept(data, store); len(problems) > 0 {
			return format.Errorf("%s%s is damaged, repair it or remove it: %w", store, config.KeptPath, problems)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := encodeList(do(entries))
	if err != nil {
		return err
	}
	return sys.WriteFile(dir, listName, text, 0o600)
}

func encodeList(entries []config.Entry) ([]byte, error) {
	l := list{Version: config.KeptVersion, Directories: []entry{}, Files: []entry{}}
	for i := range entries {
		e := &entries[i]
		out := entry{
			Path: e.Path, How: e.How, User: e.Owner.User, Group: e.Owner.Group, UID: e.Owner.UID, GID: e.Owner.GID,
			Options: e.Options, Hidden: e.Hidden, Trash: e.Trash, Kept: e.Kept,
		}
		if e.Mode != nil {
			out.Mode = format.Sprintf("%04o", *e.Mode)
		}
		if e.Directory {
			l.Directories = append(l.Directories, out)
		} else {
			l.Files = append(l.Files, out)
		}
	}
	text, err := jsontext.Append(nil, l, "  ")
	return append(text, '\n'), err
}
