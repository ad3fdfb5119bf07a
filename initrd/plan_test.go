package initrd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/internal/cmdline"
)

// The uuids of the cast: two live roots, their fresh successors, the blank.
var (
	oldRoot, oldHome     = &Identity{256, btrfs.UUID{1}}, &Identity{257, btrfs.UUID{2}}
	freshRoot, freshHome = &Identity{300, btrfs.UUID{3}}, &Identity{301, btrfs.UUID{4}}
	blank                = &Identity{258, btrfs.UUID{5}}
	stranger             = &Identity{400, btrfs.UUID{6}}
)

func members(root, home *Identity) []MemberFacts {
	return []MemberFacts{
		{Name: "root", Path: "@", Live: root, From: "@blank", Blank: blank},
		{Name: "home", Path: "@home", Live: home},
	}
}

func begun(sequence uint64) *archive.Info {
	return &archive.Info{Sequence: sequence, Subvolumes: []archive.Member{
		{Name: "root", Path: "@", Fresh: freshRoot.UUID, Old: oldRoot.UUID},
		{Name: "home", Path: "@home", Fresh: freshHome.UUID, Old: oldHome.UUID},
	}}
}

func staged(root, home *Identity) map[string]Identity {
	m := map[string]Identity{}
	for name, id := range map[string]*Identity{"root": root, "home": home} {
		if id != nil {
			m[name] = *id
		}
	}
	return m
}

// rollbackOf is the plan of an ordinary rollback of both with that number.
func rollbackOf(number int) string {
	return fmt.Sprintf("stage snapshot:root create:home describe exchange:root exchange:home archive:%d seal:root seal:home", number)
}

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name  string
		facts Facts
		want  string
	}{
		{
			"first of all",
			Facts{Members: members(oldRoot, oldHome)},
			"make-archive " + rollbackOf(1),
		},
		{
			"number after the highest in use",
			Facts{ArchiveExists: true, Highest: 7, Used: 9, Members: members(oldRoot, oldHome)},
			rollbackOf(10),
		},
		{
			"an archive that others can read",
			Facts{ArchiveExists: true, ArchiveIsOpen: true, Members: members(oldRoot, oldHome)},
			"protect " + rollbackOf(1),
		},
		{
			"an archived root that was not sealed",
			Facts{ArchiveExists: true, Used: 4, Unsealed: []MemberFacts{{Name: "home"}}, UnsealedNumber: 4, Members: members(oldRoot, oldHome)},
			"(seal:home) " + rollbackOf(5),
		},
		{
			"no live root",
			Facts{ArchiveExists: true, Members: members(nil, oldHome)},
			"stage snapshot:root create:home describe place:root exchange:home archive:1 seal:home",
		},
		{
			"nothing live at all",
			Facts{ArchiveExists: true, Members: members(nil, nil)},
			"stage snapshot:root create:home describe place:root place:home unstage",
		},
		{
			"staging was begun",
			Facts{ArchiveExists: true, Used: 4, Members: members(oldRoot, oldHome), Next: &NextFacts{}},
			"(unstage) " + rollbackOf(5),
		},
		{
			"a subvolume was staged",
			Facts{ArchiveExists: true, Used: 4, Members: members(oldRoot, oldHome), Next: &NextFacts{Staged: staged(freshRoot, nil)}},
			"(drop:5) " + rollbackOf(6),
		},
		{
			"all was staged and described",
			Facts{ArchiveExists: true, Highest: 4, Used: 5, Members: members(oldRoot, oldHome), Next: &NextFacts{Info: begun(5), Staged: staged(freshRoot, freshHome)}},
			"(drop:6) " + rollbackOf(7),
		},
		{
			"the root was exchanged",
			Facts{ArchiveExists: true, Highest: 4, Used: 5, Members: members(freshRoot, oldHome), Next: &NextFacts{Info: begun(5), Staged: staged(oldRoot, freshHome)}},
			"(exchange:home) (archive:5) (seal:root) (seal:home) " + rollbackOf(6),
		},
		{
			"all was exchanged",
			Facts{ArchiveExists: true, Highest: 4, Used: 5, Members: members(freshRoot, freshHome), Next: &NextFacts{Info: begun(5), Staged: staged(oldRoot, oldHome)}},
			"(archive:5) (seal:root) (seal:home) " + rollbackOf(6),
		},
		{
			"its number was taken since",
			Facts{ArchiveExists: true, Highest: 5, Used: 5, Members: members(freshRoot, freshHome), Next: &NextFacts{Info: begun(5), Staged: staged(oldRoot, oldHome)}},
			"(archive:6) (seal:root) (seal:home) " + rollbackOf(7),
		},
		{
			"the root was placed, home is still to be",
			Facts{ArchiveExists: true, Used: 5, Members: members(freshRoot, nil), Next: &NextFacts{Info: begun(5), Staged: staged(nil, freshHome)}},
			"(place:home) (unstage) " + rollbackOf(6),
		},
		{
			"meta.json is damaged",
			Facts{ArchiveExists: true, Used: 5, Members: members(oldRoot, oldHome), Next: &NextFacts{Damaged: errors.New("x"), Staged: staged(stranger, nil)}},
			"(archive:6) (seal:root) " + rollbackOf(7),
		},
		{
			"another subvolume than the one described is staged",
			Facts{ArchiveExists: true, Used: 5, Members: members(oldRoot, oldHome), Next: &NextFacts{Info: begun(5), Staged: staged(stranger, freshHome)}},
			"(archive:6) (seal:home) (seal:root) " + rollbackOf(7),
		},
		{
			"somebody has put another root in place of the fresh one",
			Facts{ArchiveExists: true, Used: 5, Members: members(stranger, oldHome), Next: &NextFacts{Info: begun(5), Staged: staged(oldRoot, freshHome)}},
			"(archive:6) (seal:home) (seal:root) " + rollbackOf(7),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var words []string
			for _, s := range Plan(&test.facts).Steps {
				words = append(words, word(s))
			}
			if got := strings.Join(words, " "); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// word is a step in short; those of a recovery are in parentheses.
func word(s Step) string {
	text := string(s.Action)
	switch s.Action {
	case Create, Snapshot, Exchange, Place, Seal:
		text += ":" + s.Member.Name
	case Drop, Archive:
		text += fmt.Sprintf(":%d", s.Number)
	}
	if s.Recovery {
		return "(" + text + ")"
	}
	return text
}

func TestEveryStepHasAText(t *testing.T) {
	cfg := tmpfsConfig().Root
	cfg.Archive = "@roots"
	for _, action := range []Action{MakeArchive, Protect, Drop, Unstage, Stage, Create, Snapshot, Describe, Exchange, Place, Archive, Seal} {
		s := Step{Action: action, Member: MemberFacts{Name: "root", Path: "@", Blank: blank}, Number: 3}
		if text := s.Text(&cfg); text == string(action) || strings.Contains(text, "%!") {
			t.Errorf("%s: %q", action, text)
		}
	}
}

func TestRollbackWish(t *testing.T) {
	for line, want := range map[string]wish{
		"":                               {},
		"ebb.rollback=yes":               {},
		"ebb.rollback=41":                {copyOf: 41},
		"ebb.rollback=no":                {keep: true},
		"ebb.rollback":                   {keep: true},
		"ebb.rollback=0":                 {keep: true},
		"ebb.rollback=-1":                {keep: true},
		"ebb.rollback=../../x":           {keep: true},
		"ebb.rollback=1 ebb.rollback=no": {keep: true},
		"ebb.rollback=" + strings.Repeat("9", 4096): {keep: true},
	} {
		got := rollbackWish(cmdline.Parse(line))
		if got.keep != want.keep || got.copyOf != want.copyOf || got.keep == (got.reason == "") {
			t.Errorf("%.60q: got %+v", line, got)
		}
		if len(got.reason) > 200 {
			t.Errorf("%.60q: a reason of %d bytes", line, len(got.reason))
		}
	}
}
