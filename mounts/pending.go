package mounts

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// pendingXattr notes on a file or directory what owner and mode it is to get
// as soon as the names are known: user:group:mode. Only root can read and
// write attributes of this class (xattr(7)).
const pendingXattr = "trusted.ebb.owner"

// mayWait reports whether a directory looks like one that waits for its owner:
// to ask for the note of every directory would be many system calls.
func mayWait(status *sys.Status) bool { return status.UID == 0 && status.Permissions() == 0o700 }

// readPending returns the note on what fd is open on (O_PATH will do), ""
// when there is none.
func readPending(fd int) (string, error) {
	note, err := sys.GetXattr(fd, pendingXattr)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	return string(note), err
}

// Finish gives the owners that were not known when sources and the
// directories above them were made, now that the system has its users. It
// touches nothing but what carries ebb's note and still belongs to root.
func (r *Root) Finish() Report { return r.finish(false) }

// PlanFinish says what Finish would do now, and does nothing.
func (r *Root) PlanFinish() Report { return r.finish(true) }

func (r *Root) finish(dry bool) Report {
	visited := map[string]bool{}
	return r.each(dry, all, func(p *placing) error { return p.settle(visited) })
}

// settle finishes the directories above both sides of the entry, and its
// source.
func (p *placing) settle(visited map[string]bool) error {
	s := p.run.stores[p.item.Store.Path]
	if s.err != nil {
		return s.err
	}
	p.result.State = Already
	path := p.item.Entry.Path
	for _, t := range []*trail{&s.trail, &p.run.target} {
		for i := 1; i < len(path); i++ {
			if path[i] == '/' {
				if err := p.settleOne(t, path[:i], true, visited); err != nil {
					return err
				}
			}
		}
	}
	return p.settleOne(&s.trail, path, p.item.Entry.Directory, visited)
}

// settleOne finishes what is at path below the trail, unless that has been
// done.
func (p *placing) settleOne(t *trail, path string, directory bool, visited map[string]bool) error {
	key := t.prefix + ":" + path
	if visited[key] {
		return nil
	}
	visited[key] = true
	dir, name := splitPath(path)
	missing, err := t.enter(dir)
	if err != nil || missing != "" {
		return err
	}
	fd, status, err := openEntry(t.fd(), name, t.prefix+path, directory)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	note, err := readPending(fd)
	if err != nil || note == "" {
		return err
	}
	return p.settleNote(fd, &status, t.prefix+path, note)
}

func (p *placing) settleNote(fd int, status *sys.Status, path, note string) error {
	owner, mode, err := parsePending(note)
	if err != nil {
		return format.Errorf("%s of %s: %w", pendingXattr, quotePath(path), err)
	}
	as := p.run.names.attributes(owner, mode, status.IsDirectory())
	if as.pending != "" {
		p.result.State, p.result.Pending = Pending, note
		return nil
	}
	if status.UID != 0 && status.UID != as.uid {
		p.note(format.Sprintf("%s belongs to uid %d by now, and stays so", quotePath(path), status.UID))
	}
	if p.result.State == Already {
		p.result.State = InPlace
	}
	return p.act(Step{Verb: SetOwner, Path: path, as: as, has: true}, func() error {
		return giveAway(fd, status, as)
	})
}

// giveAway removes the note last: a power cut in between leaves it for the
// next run. One between the owner and the mode leaves the mode for root alone,
// by which that run knows that it is to be set.
func giveAway(path int, status *sys.Status, as attributes) error {
	fd, err := sys.Reopen(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	alone := status.Permissions() == 0o700 || status.Permissions() == 0o600
	if status.UID == 0 || status.UID == as.uid && alone {
		if err := setAttributes(fd, as); err != nil {
			return err
		}
	}
	return sys.RemoveXattr(fd, pendingXattr)
}
