package mounts

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/copytree"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// oldRoots are the root that was archived in this boot and perhaps older ones,
// opened when they are first asked for.
type oldRoots struct {
	asked  bool
	err    error
	roots  []OldRoot
	trails []trail // of each of them
}

func (o *oldRoots) open(find func() ([]OldRoot, error)) {
	o.asked = true
	if find == nil {
		return
	}
	o.roots, o.err = find()
	for i := range o.roots {
		o.trails = append(o.trails, trail{base: o.roots[i].Fd, prefix: "the old root: " + o.roots[i].Mount})
	}
}

func (o *oldRoots) close() {
	for i := range o.trails {
		o.trails[i].close()
		if o.trails[i].base >= 0 {
			unix.Close(o.trails[i].base)
		}
	}
}

// adopt makes the source a copy of what is at the entry's path in the old root
// or, where there is no such, in the root itself: a new entry must not hide
// what is there already. It reports whether there is a source now.
func (p *placing) adopt() (bool, error) {
	if p.run.root.OwnFirst {
		if adopted, err := p.adoptOwn(); err != nil || adopted {
			return adopted, err
		}
		_, adopted, err := p.adoptOld()
		return adopted, err
	}
	if found, adopted, err := p.adoptOld(); err != nil || found {
		return adopted, err
	}
	return p.adoptOwn()
}

// adoptOld makes the source a copy of what the old roots have, if they have something.
func (p *placing) adoptOld() (found, adopted bool, err error) {
	var old side
	defer old.close()
	err = p.findOld(&old) // with an error, what is open has nothing in it, or nothing that can be read
	if found = err == nil && old.exists(); found && old.status.UID == 0 && old.status.Permissions()&0o077 == 0 {
		// An empty one of root's alone may have been made for somebody else: when another
		// program fsyncs in the root before our chown, and the power is cut, it stays so.
		as := entryAttributes(p.item.Entry, &p.run.names, p.home())
		if as.uid != 0 || as.gid != 0 || as.pending != "" {
			found, err = old.hasData()
		}
	}
	if found {
		err = p.copySource(&old, "the old root")
	}
	if err != nil {
		// The data is safe where it is, the archive. The worst case is an empty
		// entry, which the result tells, and the note on the source.
		p.leave(err)
	}
	if adopted = p.source.exists(); !adopted {
		err = nil
	}
	return found, adopted, err // when it is there it is whole: only its name is not durable
}

// adoptOwn makes the source a copy of what the root itself has.
func (p *placing) adoptOwn() (bool, error) {
	hasData, err := p.targetHasData()
	if err != nil || !hasData {
		return false, err
	}
	if err := p.copySource(&p.target, "the root"); err != nil {
		return false, format.Errorf("%s stays as it is, outside of the store, because its data could not be copied: %w",
			quotePath(p.item.Entry.Path), err)
	}
	return true, nil
}

// findOld looks into the old roots, the newest first. An empty mount point in
// one of them whose boot came to nothing does not hide what is in an older one.
func (p *placing) findOld(old *side) error {
	o := &p.run.old
	if !o.asked {
		o.open(p.run.root.OldRoots)
	}
	entry := *p.item.Entry
	// What lies below a mount point in the root around it was not to be seen.
	mount := ""
	for i := range o.roots {
		if m := o.roots[i].Mount; len(m) > len(mount) && strings.HasPrefix(entry.Path, m+"/") {
			mount = m
		}
	}
	entry.Path = entry.Path[len(mount):]
	for i := range o.roots {
		if o.roots[i].Mount != mount || o.roots[i].Fd < 0 {
			continue
		}
		p.left = 0
		err := old.look(&o.trails[i], &entry)
		if err != nil && p.isOwnLink(old) {
			return nil
		}
		if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			return err // of a link, say, nothing can be brought back
		}
		p.left = o.roots[i].Number
		if err != nil {
			return err
		}
		if old.exists() {
			hasData, err := old.hasData()
			if err != nil || hasData {
				return err
			}
		}
		if i > 0 {
			o.trails[i].cut(0) // there may be many; that of the newest stays open for the next entry
		}
	}
	p.left = 0
	if o.err != nil && len(o.roots) > 0 {
		p.left = o.roots[len(o.roots)-1].Number // the one that could not be looked into
	}
	return o.err
}

// leave tells that what is in the archive stays there, and how to get it.
func (p *placing) leave(err error) {
	p.result.Adoption = "skipped: " + err.Error() + p.whereLeft(p.left)
}

// whereLeft names the archived root: in each after it the path is empty, too.
func (p *placing) whereLeft(number uint64) string {
	if number == 0 {
		return ""
	}
	text, command := strconv.FormatUint(number, 10), ", get it with: ebb restore --from "
	if p.item.Entry.How == config.Symlink {
		command = ", get it with: ebb restore --into-store --from "
	}
	return "; the data is in archived root " + text + command + text + " " + quotePath(p.item.Entry.Path)
}

// isOwnLink reports whether what is there is the link to the source that an
// earlier boot made.
func (p *placing) isOwnLink(s *side) bool {
	if s.missing != "" {
		return false
	}
	text, err := sys.ReadSymlink(s.trail.fd(), s.name)
	return err == nil && text == p.result.Source
}

// targetHasData reports whether something would be hidden by a new source.
func (p *placing) targetHasData() (bool, error) {
	if !p.target.exists() {
		return false, nil
	}
	return p.target.hasData()
}

// hasData reports whether what is open is a directory that is not empty, or a
// file that is not.
func (s *side) hasData() (bool, error) {
	if !s.status.IsDirectory() {
		return s.status.Size > 0, nil
	}
	fd, err := sys.ReopenDirectory(s.fd, unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	empty, err := sys.IsEmpty(fd)
	return !empty, err
}

// copySource makes the source a copy, which is durable before it gets its name:
// a power cut leaves no half source that a later boot would take for a whole
// one.
func (p *placing) copySource(from *side, where string) error {
	if p.source.missing == "" { // else of a dry run: not even the directory is there
		if err := p.removeStale(p.source.trail, p.source.name); err != nil {
			return err
		}
	}
	step := Step{Verb: AdoptData, Path: p.source.path(), From: where}
	if p.run.dry {
		// The plan goes on with what the source would be a copy of.
		if fd, err := sys.Duplicate(from.fd); err == nil {
			p.source.set(fd, from.status)
		}
	}
	return p.act(step, func() error {
		fd, err := stage(p.source.trail, p.source.name, func(t *trail, name string) (int, error) {
			return p.copyDurably(from, t.fd(), name)
		})
		if err != nil {
			return err
		}
		p.result.Created = true
		if err := p.took(fd); err != nil {
			return err
		}
		return p.nameSource()
	})
}

func (p *placing) copyDurably(from *side, dir int, name string) (int, error) {
	fd, stats, err := p.copyAll(from.fd, dir, name)
	if err != nil {
		return -1, err
	}
	if err := sys.SyncFilesystem(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	p.result.Adopted = &stats
	return fd, nil
}

func (p *placing) copyAll(from, dir int, name string) (int, copytree.Stats, error) {
	if take := p.run.root.Take; take != nil {
		return take(from, dir, name)
	}
	adopt := &p.run.root.Adopt
	o := copytree.Options{
		Limit: copytree.Limit{Files: adopt.Files, Copied: adopt.CopiedBytes},
		// It was root's tree all along, and comes back to its place.
		SetID: true, Devices: true,
	}
	if from == p.target.fd {
		o.SetID, o.Devices = copytree.Powers(from)
	}
	start := time.Now()
	o.Check = func(*copytree.Stats) error {
		if time.Since(start) > adoptTime {
			return format.Errorf("%w: more than %.0f s", copytree.ErrTooLarge, adoptTime.Seconds())
		}
		return nil
	}
	return copytree.Copy(from, dir, name, o)
}

// adoptTime bounds how long a boot waits for an entry to be adopted: the number of
// files does not bound it, who has made them with that in mind.
const adoptTime = 30 * time.Second

// sameName makes sure that name leads to what fd is open on.
func sameName(dirFd int, name string, fd int) (sys.Status, error) {
	status, err := sys.Stat(fd)
	if err != nil {
		return status, err
	}
	there, err := sys.StatComponent(dirFd, name)
	if err == nil && !there.SameInode(&status) {
		err = format.Errorf("a %s of uid %d stands there", there.TypeName(), there.UID)
	}
	return status, err
}
