package stores

import (
	"errors"
	"io/fs"
	"path"
	"sort"
	"time"

	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/jsontext"
	"github.com/ebb-nix/ebb/internal/sys"
)

const (
	ledgerVersion  = 1
	ledgerMaxBytes = 8 << 20
	// mostOld is how many entries the ledger remembers beside those that are
	// declared; those that were declared last stay.
	mostOld = 10_000
)

// ledger remembers what was declared. Each boot adds to it.
type ledger struct {
	Version int           `json:"version"`
	Entries []ledgerEntry `json:"entries"`
}

// ledgerEntry is an entry with the first and the last boot that it was
// declared in, by their clocks.
type ledgerEntry struct {
	Path  string    `json:"path"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// readLedger reads the ledger. One that is damaged is an empty one: nothing but
// "since when" is lost with it.
func (s *Store) readLedger() error {
	s.ledger = ledger{Version: ledgerVersion}
	if s.own < 0 {
		return nil
	}
	data, err := sys.ReadFile(s.own, ledgerName, ledgerMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var l ledger
	if jsontext.Unmarshal(data, &l) != nil {
		return nil
	}
	if l.Version != ledgerVersion {
		return format.Errorf("%s has version %d, this ebb knows version %d only", ledgerName, l.Version, ledgerVersion)
	}
	s.ledger = l
	return nil
}

// LastSeen is the latest time that the ledger knows of; it is zero in a new
// one.
func (s *Store) LastSeen() (latest time.Time) {
	for _, e := range s.ledger.Entries {
		if e.Last.After(latest) {
			latest = e.Last
		}
	}
	return latest
}

// Declared is how many entries Record enters into the ledger.
func (s *Store) Declared() int { return len(s.entries) }

// LedgerPath is where the ledger is.
func (s *Store) LedgerPath() string { return path.Join(s.Path, ownName, ledgerName) }

// Record enters into the ledger that the entries are declared in this boot.
// It replaces the ledger atomically. A clock that is in doubt makes nothing
// older or younger than it was.
func (s *Store) Record() error {
	now := s.Now
	if s.Doubt != "" {
		now = s.LastSeen()
	}
	index := map[string]int{}
	for i, e := range s.ledger.Entries {
		index[e.Path] = i
	}
	for _, p := range s.entries {
		i, known := index[p]
		if !known {
			i = len(s.ledger.Entries)
			s.ledger.Entries = append(s.ledger.Entries, ledgerEntry{Path: p})
			index[p] = i
		}
		e := &s.ledger.Entries[i]
		if e.First.IsZero() {
			e.First = now
		}
		if now.After(e.Last) {
			e.Last = now
		}
	}
	entries := s.ledger.Entries
	sort.Slice(entries, func(i, j int) bool {
		return entries[i].Last.After(entries[j].Last) || entries[i].Last.Equal(entries[j].Last) && entries[i].Path < entries[j].Path
	})
	s.ledger.Entries = entries[:min(len(entries), len(s.entries)+mostOld)]
	data, err := jsontext.Append(nil, s.ledger, " ")
	if err != nil {
		return err
	}
	if err := s.makeOwn(); err != nil {
		return err
	}
	return sys.WriteFile(s.own, ledgerName, append(data, '\n'), 0o600)
}

// declaredUntil is when something at, below or above a path of the store was
// last declared, zero when the ledger does not know of it.
func (s *Store) declaredUntil(rel string) (latest time.Time) {
	for _, e := range s.ledger.Entries {
		if !s.declared[e.Path] && e.Last.After(latest) && (isBelow(rel, e.Path) || isBelow(e.Path, rel)) {
			latest = e.Last
		}
	}
	return latest
}
