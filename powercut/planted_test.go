package powercut

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// planted is a bug that somebody could have written into ebb: a small change
// to its source, which works as long as nobody cuts the power.
type planted struct {
	name  string
	edits []edit
	in    []string // scenarios that show it; "between" when it is empty
}

type edit struct{ file, old, new string }

func (p *planted) scenario() string {
	if len(p.in) == 0 {
		return "between"
	}
	return p.in[0]
}

// overlay writes the changed files, and what "go build -overlay" takes.
func (p *planted) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	changed := map[string]string{} // contents by the file in the module
	for _, e := range p.edits {
		path, err := filepath.Abs(filepath.Join("..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := changed[path]; !ok {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed[path] = string(text)
		}
		if count := strings.Count(changed[path], e.old); count != 1 {
			t.Fatalf("the text to be changed is %d times in %s, want once; plant the bug %q anew:\n%s", count, e.file, p.name, e.old)
		}
		changed[path] = strings.Replace(changed[path], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range changed {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

const (
	strangerFile = "powercut/stranger.go"
	planFile     = "initrd/plan.go"
	stepsFile    = "initrd/steps.go"
	factsFile    = "initrd/facts.go"
	archiveFile  = "initrd/archivedir.go"
	oldRootFile  = "initrd/oldroot.go"
	adoptFile    = "mounts/adopt.go"
	stageFile    = "mounts/stage.go"
	syncBackFile = "mounts/syncback.go"
	sysFile      = "internal/sys/file.go"
	removeFile   = "roots/remove.go"
	proofFile    = "roots/proof.go"
	restoreFile  = "roots/restore.go"
	takeFile     = "keep/take.go"
	keepFile     = "keep/keep.go"
)

const exchangeText = "return x.intoPlace(s, sys.RenameExchange)"

// plantedBugs are the bugs. Each is caught, or the harness is too weak.
var plantedBugs = []planted{
	{name: "three renames, no exchange", edits: []edit{{stepsFile, exchangeText, `return x.intoPlace(s, func(next int, name string, dir int, live string) error {
		return errors.Join(sys.RenameNoReplace(dir, live, next, name+".old"),
			sys.RenameNoReplace(next, name, dir, live), sys.RenameNoReplace(next, name+".old", next, name))
	})`}}},
	{name: "the old root moved, then the snapshot", edits: []edit{{stepsFile, exchangeText, `source, err := sys.OpenBeneath(x.top, s.Member.From, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	return x.intoPlace(s, func(next int, name string, dir int, live string) error {
		if err := errors.Join(sys.RenameNoReplace(dir, live, next, name+".old"), btrfs.Snapshot(dir, live, source, false),
			btrfs.DeleteByName(next, name), sys.RenameNoReplace(next, name+".old", next, name)); err != nil {
			return err
		}
		fd, err := sys.OpenComponent(dir, live, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return x.learn(name, fd)
	})`}}, in: []string{"committer"}},
	{name: "meta.json not fsynced", edits: []edit{{sysFile, "syncErr := SyncFile(fd)", "var syncErr error"}}, in: []string{"quiet"}},
	{name: "meta.json written after the exchange", edits: []edit{
		{planFile, "	l.add(Describe, nil, number, false)\n", ""},
		{planFile, "	l.planArchive(old, number, false)\n", "	l.add(Describe, nil, number, false)\n	l.planArchive(old, number, false)\n"},
	}},
	{name: "meta.json written before the snapshots", edits: []edit{
		{planFile, "	l.add(Describe, nil, number, false)\n", ""},
		{planFile, "	l.add(Stage, nil, 0, false)\n", "	l.add(Stage, nil, 0, false)\n	l.add(Describe, nil, number, false)\n"},
	}},
	{name: "meta.json names the root alone", edits: []edit{{stepsFile, "for _, m := range x.members {", "for _, m := range x.members[:1] {"}}},
	{name: "read-only before the exchange, in a recovery", edits: []edit{{stepsFile, "	if err := rename(x.next, m.Name, dir, path.Base(m.Path)); err != nil {", `	if s.Recovery {
		live, err := sys.OpenComponent(dir, path.Base(m.Path), unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		err = btrfs.SetReadOnly(live, true)
		unix.Close(live)
		if err != nil {
			return err
		}
	}
	if err := rename(x.next, m.Name, dir, path.Base(m.Path)); err != nil {`}}},
	{name: "the recovery asks no uuid", edits: []edit{{planFile, "	case isExchanged(facts):\n		return finish(facts)\n	case allFresh(next):", "	case len(next.Staged) > 0:"}}},
	{name: "the recovery knows the root alone", edits: []edit{{planFile, "	members = append(members, facts.Members...)\n	for i := range facts.Members {", "	members = append(members, facts.Members[:1]...)\n	for i := range members {"}}},
	{name: "the recovery exchanges back", edits: []edit{
		{planFile, "isFresh := isStaged && isTold && staged.UUID == told.Fresh", "isFresh := isStaged && isTold && told.Name != \"\""},
		{planFile, "	steps.planRollback(members, plan.Number)\n", "	if len(recovery) == 0 {\n		steps.planRollback(members, plan.Number)\n	}\n"},
	}},
	{name: "the recovery archives nothing", edits: []edit{{planFile, "	steps.planArchive(old, number, true)\n	return steps, max(", "	return steps, max("}}},
	{name: "the recovery gives another number", edits: []edit{{planFile, "	if number <= facts.Highest {", "	if number > 0 {"}}},
	{name: "a stale staging directory is used", edits: []edit{
		{planFile, "	case isExchanged(facts):", "	case isExchanged(facts), allFresh(next):"},
		{planFile, "	steps.planRollback(members, plan.Number)\n", "	if len(recovery) == 0 {\n		steps.planRollback(members, plan.Number)\n	}\n"},
	}},
	{name: "no rollback after a recovery", edits: []edit{{planFile, "	steps.planRollback(members, plan.Number)\n", "	if len(recovery) == 0 {\n		steps.planRollback(members, plan.Number)\n	}\n"}}},
	{name: "a staging directory is removed, whatever is in it", edits: []edit{{planFile, "	if len(next.Staged) == 0 {", "	if len(next.Staged) >= 0 {"}}},
	{name: "dropped to one number in the trash", edits: []edit{{archiveFile, "trash, archive.DirectoryName(s.Number))", "trash, archive.DirectoryName(0))"}}, in: []string{"nested-between"}},
	{name: "numbers are used again", edits: []edit{{stepsFile, "archive.SetLastSequence(x.archive, s.Number)", "archive.SetLastSequence(x.archive, 0)"}}, in: []string{"deletions"}},
	{name: "not sealed, so not committed", edits: []edit{{planFile, "	for _, m := range old {\n		l.add(Seal, m, number, recovery)\n	}\n", ""}}, in: []string{"quiet"}},
	{name: "the root alone is sealed", edits: []edit{{planFile, "	for _, m := range old {\n", "	for _, m := range old[:1] {\n"}}, in: []string{"quiet"}},
	{name: "what was not sealed stays so", edits: []edit{{planFile, "	for i := range facts.Unsealed {\n", "	for i := range facts.Unsealed[:0] {\n"}}},
	{name: "sealed before it has its number", edits: []edit{
		{stepsFile, "	x.inPlace[m.Name] = !s.Recovery\n", `	if !s.Recovery {
		old, err := sys.OpenComponent(x.next, m.Name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer unix.Close(old)
		if err := btrfs.SetReadOnly(old, true); err != nil {
			return err
		}
	}
	x.inPlace[m.Name] = !s.Recovery
`},
		{planFile, "	for _, m := range old {\n		l.add(Seal, m, number, recovery)\n	}\n", ""},
	}, in: []string{"quiet"}},
	{name: "copied back without fsync", edits: []edit{{syncBackFile, "	if err := sys.SyncFile(fd); err != nil {\n		return err\n	}\n", ""}}, in: []string{"quiet", "four-writers"}},
	{name: "copied back without fsync of the directory", edits: []edit{{syncBackFile, "	return sys.SyncDirectory(p.source.trail.fd())\n", "	return nil\n"}}, in: []string{"quiet"}},
	{name: "copied back in place", edits: []edit{{syncBackFile, "	return p.act(step, p.replaceSource)\n}\n", `	return p.act(step, p.overwriteSource)
}

func (p *placing) overwriteSource() error {
	if !p.source.exists() {
		return p.replaceSource()
	}
	data := make([]byte, 1<<16)
	from, err := sys.Reopen(p.target.fd, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	n, err := unix.Read(from, data)
	if err != nil {
		return err
	}
	to, err := sys.Reopen(p.source.fd, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	if _, err := unix.Write(to, data[:n]); err != nil {
		return err
	}
	return unix.Fsync(to)
}
`}}},
	{name: "adopted under its own name", edits: []edit{{adoptFile, "		fd, err := stage(p.source.trail, p.source.name, func(t *trail, name string) (int, error) {\n			return p.copyDurably(from, t.fd(), name)\n		})\n", "		fd, err := p.copyDurably(from, p.source.trail.fd(), p.source.name)\n"}}},
	{name: "adopted without a commit", edits: []edit{{adoptFile, "	if err := sys.SyncFilesystem(fd); err != nil {\n		unix.Close(fd)\n		return -1, err\n	}\n", ""}}, in: []string{"fsyncs"}},
	{name: "adopted without fsync of the directory", edits: []edit{{adoptFile, "		return p.nameSource()\n", "		return nil\n"}}, in: []string{"ext4", "xfs"}},
	{name: "only the newest old root is looked at", edits: []edit{{oldRootFile, "for n, name := range names {", "for n, name := range names[:1] {"}}, in: []string{"quiet"}},
	{name: "deleted before it is in the trash", edits: []edit{{removeFile, "	err = r.moveToTrash(entry, where)\n", "	err = unix.ENOSPC\n"}}, in: []string{"deletions"}},
	{name: "deletion before the commit of what was brought back", edits: []edit{{restoreFile, "	if err = sys.SyncFilesystem(fd); err == nil && empty >= 0 {\n", "	if empty >= 0 {\n"}}, in: []string{"restore-fsyncs", "restore"}},
	{name: "brought back under its own name", edits: []edit{
		{restoreFile, "copytree.Copy(f.fd, dir, temporary, options)", "copytree.Copy(f.fd, dir, name, options)"},
		{restoreFile, "	if err == nil {\n		err = exchange(parent, temporary, name, result.Backup)\n	}\n", ""},
		{restoreFile, "	options := copytree.Options{SetID: r.SetID, Mark: true}\n", "	options := copytree.Options{SetID: r.SetID, Mark: true}\n	if result.Backup != \"\" {\n		if err := sys.RenameNoReplace(parent, name, parent, path.Base(result.Backup)); err != nil {\n			return err\n		}\n	}\n"},
	}, in: []string{"restore"}},
	{name: "what is in the way of what is brought back is removed", edits: []edit{{restoreFile, "err := sys.RenameNoReplace(parent, name, parent, backup)", "err := copytree.Remove(parent, name)"}}, in: []string{"restore"}},
	{name: "no proof that it is ebb's", edits: []edit{{proofFile, "	if !r.isKnown(name, found.UUID, info) {", "	if false && !r.isKnown(name, found.UUID, info) {"}}, in: []string{"deletions"}},
	{name: "no proof that it grew there", edits: []edit{{proofFile, "			if s.ID < member.ID {", "			if s.ID == 0 {"}}, in: []string{"deletions"}},
	{name: "the trash asks for meta.json", edits: []edit{{removeFile, "	return r.removeFrom(trash, name, where, true)", "	return r.removeFrom(trash, name, where, false)"}}, in: []string{"deletions"}},
	{name: "kept without a commit", edits: []edit{
		{takeFile, "				err = sys.SyncFilesystem(fd)\n", ""},
		{adoptFile, "	if err := sys.SyncFilesystem(fd); err != nil {\n", "	if p.run.root.Take != nil {\n		return fd, nil\n	}\n	if err := sys.SyncFilesystem(fd); err != nil {\n"},
	}, in: []string{"keep-fsyncs"}},
	{name: "on the list without a commit", edits: []edit{{sysFile, "	return SyncFilesystem(dirFd)\n", "	return nil\n"}}, in: []string{"keep-quiet"}},
	{name: "on the list before it is in the store", edits: []edit{{keepFile, "	case !both.Source && !m.takeIn(root, r):\n		return r\n	}\n", `	case !both.Source:
		if err := m.change(store, func(l []config.Entry) []config.Entry { return append(without(l, p), r.entry) }); err != nil {
			r.end(Failed, err.Error())
			return r
		}
		if !m.takeIn(root, r) {
			return r
		}
	}
`}}, in: []string{"keep"}},
	{name: "made under its own name", edits: []edit{{stageFile, "return known && mkdirSuffices(&parent, as)", "return known || mkdirSuffices(&parent, as)"}}},
	{name: "a stranger without fsync", edits: []edit{{ // no bug of ebb's, and has to be seen
		strangerFile, "_, err = f.WriteString(text)\n	if err := errors.Join(err, f.Sync(), f.Close())", "_, err = f.WriteString(text)\n	if err := errors.Join(err, f.Close())",
	}}, in: []string{"strange"}},
}

func findBug(t *testing.T, name string) *planted {
	t.Helper()
	for i := range plantedBugs {
		if plantedBugs[i].name == name {
			return &plantedBugs[i]
		}
	}
	t.Fatalf("there is no bug %q", name)
	return nil
}

// Each bug can be planted into the source as it is now.
func TestPlantedBugsFit(t *testing.T) {
	for _, bug := range plantedBugs {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"build", "-overlay", bug.overlay(t)}
			for _, e := range bug.edits {
				args = append(args, "../"+filepath.Dir(e.file))
			}
			if output, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// A harness that finds nothing has to be known to find something.
func TestPlantedBugs(t *testing.T) {
	need(t)
	bugs := plantedBugs
	if !isWhole() {
		bugs = bugs[:2]
	}
	for _, bug := range bugs {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			program := build(t, bug.overlay(t))
			var tried []*Result
			for seed := range uint64(3) {
				for _, scenario := range append([]string{bug.scenario()}, bug.in[min(1, len(bug.in)):]...) {
					result, err := run(program, t.TempDir(), plantedBudget(seed), scenario)
					if err != nil {
						t.Fatal(err)
					}
					if result.Failed > 0 {
						t.Logf("%s: caught by %d of %d states: %s", scenario, result.Failed, result.States, result.Failures[0].Reason)
						return
					}
					tried = append(tried, result)
				}
			}
			t.Errorf("not caught: %v", tried)
		})
	}
}

// plantedBudget ends soon, but for the long run, which counts.
func plantedBudget(seed uint64) Budget {
	if isLong() {
		return Budget{States: 400, Nested: 4, Seed: seed + 1}
	}
	return Budget{States: 150, Nested: 4, Seed: seed + 1, Failures: 1}
}
