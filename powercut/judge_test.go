package powercut

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ebb-nix/ebb/btrfs"
)

// What was fsynced in a root has to be in it, up to the last record.
func TestCheckFsynced(t *testing.T) {
	dir := t.TempDir()
	for count := 1; count <= 2*slots+1; count++ {
		err := errors.Join(overwriteFile(filepath.Join(dir, overwrittenFile), count), replaceFile(filepath.Join(dir, replacedFile), count, syncDirectory))
		if err != nil {
			t.Fatal(err)
		}
	}
	p := &place{member: "root", generation: 3, path: dir}
	for _, test := range []struct {
		count int
		ok    bool
	}{{0, true}, {2*slots + 1, true}, {2*slots + 2, false}} {
		k := newKnowledge()
		k.RootWrites[3] = test.count
		if err := k.checkFsynced(p); (err == nil) != test.ok {
			t.Errorf("%d records: %v", test.count, err)
		}
	}
	k := newKnowledge()
	k.RootWrites[3] = 1
	for _, name := range []string{replacedFile, overwrittenFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if k.checkFsynced(p) == nil {
			t.Errorf("%s is missing, and nothing is wrong", name)
		}
	}
}

// A root that is deleted is in the archive as it was, or in the trash, or gone.
func TestCheckDoomed(t *testing.T) {
	readOnly := btrfs.SubvolumeInfo{Flags: btrfs.FlagReadOnly}
	bad := errors.New("bad")
	for _, test := range []struct {
		name string
		p    place
		gone bool
		ok   bool
	}{
		{"in the archive", place{where: isArchived, number: 7, info: readOnly}, false, true},
		{"in the trash", place{where: isTrash, notWhole: bad, meta: bad}, false, true},
		{"under another number", place{where: isArchived, number: 8, info: readOnly}, false, false},
		{"staged", place{where: isStaged, number: 7, info: readOnly}, false, false},
		{"in part", place{where: isArchived, number: 7, info: readOnly, notWhole: bad}, false, false},
		{"without meta.json", place{where: isArchived, number: 7, info: readOnly, meta: bad}, false, false},
		{"writable", place{where: isArchived, number: 7}, false, false},
		{"back in the archive", place{where: isArchived, number: 7, info: readOnly}, true, false},
		{"back in the trash", place{where: isTrash}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKnowledge()
			k.Archived[2] = 7
			k.learn(Event{What: DeletionBegins, Number: 7})
			if test.gone {
				k.learn(Event{What: DeletionDone})
			}
			test.p.generation = 2
			if err := k.checkPlace(&test.p); (err == nil) != test.ok {
				t.Error(err)
			}
		})
	}
}

func TestCheckDoomedTogether(t *testing.T) {
	k := newKnowledge()
	k.Doomed[2] = 7
	places := []place{
		{where: isLive, member: "root"},
		{where: isLive, member: "home"},
		{where: isTrash, member: "root", generation: 2},
		{where: isArchived, member: "root", generation: 2},
		{where: isArchived, member: "home", generation: 2},
	}
	for _, test := range []struct {
		places []place
		ok     bool
	}{{places[:2], true}, {places[:3], true}, {places[:4], false}, {places, true}} {
		if err := k.checkDoomedTogether(test.places); (err == nil) != test.ok {
			t.Errorf("%v: %v", test.places, err)
		}
	}
}

// writeApplication writes the data of an application to path.
func writeApplication(t *testing.T, m *machine, path string, generation int) {
	t.Helper()
	for _, f := range m.contents.of(applicationMember, generation) {
		name := filepath.Join(path, f.path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckRestored(t *testing.T) {
	m := &machine{dir: t.TempDir(), contents: newContents(&Scenario{})}
	k := newKnowledge()
	judge := func(what string, ok bool) {
		t.Helper()
		if err := m.checkRestored(k); (err == nil) != ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	place := m.top(restoredDirectory, applicationName(2))
	k.learn(Event{What: RestoreBegins, Generation: 2})
	judge("begun", true)
	k.learn(Event{What: RestoreDone, Generation: 2})
	judge("told, and not there", false)
	writeApplication(t, m, place, 2)
	judge("told", true)
	k.learn(Event{What: RestoreBegins, Generation: 2})
	if err := os.Rename(place, place+".before-restore-1"); err != nil {
		t.Fatal(err)
	}
	judge("moved out of the way", true)
	k.learn(Event{What: RestoreDone, Generation: 2})
	judge("told twice, and there once", false)
	writeApplication(t, m, place, 2)
	judge("told twice", true)
	if err := os.WriteFile(filepath.Join(place, "db"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	judge("not whole", false)
}

func TestCheckKept(t *testing.T) {
	m := &machine{dir: t.TempDir(), contents: newContents(&Scenario{})}
	k := newKnowledge()
	judge := func(what string, ok bool) {
		t.Helper()
		if err := m.checkKept(k); (err == nil) != ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	own, store := m.top("@persist/.ebb"), m.top("@persist/var/lib", applicationName(2))
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	k.learn(Event{What: KeepBegins, Generation: 2})
	judge("begun", true)
	list := `{"version": 1, "directories": [{"path": "/var/lib/` + applicationName(2) + `", "how": "bind", "kept": "2026-01-01T00:00:00Z"}], "files": []}`
	if err := os.WriteFile(filepath.Join(own, "kept.json"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	judge("on the list, and not in the store", false)
	writeApplication(t, m, store, 2)
	judge("on the list", true)
	k.learn(Event{What: KeepDone, Generation: 2})
	judge("told", true)
	if err := os.Remove(filepath.Join(own, "kept.json")); err != nil {
		t.Fatal(err)
	}
	judge("told, and not on the list", false)
	k.learn(Event{What: ApplyDone, Generation: 2})
	judge("declared", true)
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	judge("told, and not in the store", false)
}

// The same disk is judged again when more is known, or to look further.
func TestWasJudged(t *testing.T) {
	x := &explorer{judged: map[judged]bool{}}
	for n, test := range []struct {
		disk, learned, seed uint64
		was                 bool
	}{
		{1, 1, 3, false},
		{1, 1, 3, true},
		{1, 1, 5, true},
		{1, 2, 3, false},
		{2, 1, 3, false},
		{1, 1, 4, false},
		{1, 1, 0, true},
		{1, 1, 3, true},
	} {
		x.hash = test.disk
		if was := x.wasJudged(&stage{learned: test.learned}, Cut{Seed: test.seed}); was != test.was {
			t.Errorf("state %d: %t", n, was)
		}
	}
}

func TestCheckSyncedFiles(t *testing.T) {
	m := &machine{dir: t.TempDir()}
	for _, dir := range []string{"@", "@persist"} {
		if err := os.MkdirAll(m.top(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"whole": "a", "empty": ""} {
			if err := os.WriteFile(m.top(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		path          string
		before, after bool
	}{
		{"@persist/whole", true, true},
		{"@persist/empty", false, false},
		{"@persist/missing", false, false},
		{"@/whole", true, true},
		{"@/missing", false, true},
	} {
		k := newKnowledge()
		k.learn(Event{What: FileSynced, Path: test.path, Text: "a"})
		before, after := m.checkSyncedFiles(k, false), m.checkSyncedFiles(k, true)
		if (before == nil) != test.before || (after == nil) != test.after {
			t.Errorf("%s: before a boot %v, after it %v", test.path, before, after)
		}
	}
}
