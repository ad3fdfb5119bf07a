package roots

import (
	"time"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/format"
)

// Rule is what decided about an archived root.
type Rule string

// The rules, in the order in which they are asked.
const (
	RulePinned  Rule = "pinned"  // somebody said that it stays
	RuleDamaged Rule = "damaged" // what it is cannot be told: a person has to look
	RuleCount   Rule = "count"   // one of the newest, which stay whatever else is
	RuleClock   Rule = "clock"   // its age cannot be told, so it stays
	RuleAge     Rule = "age"     // old enough to go
	RuleSpace   Rule = "space"   // young, goes only while too little space is free
)

// Verdict is what the retention says about one archived root.
type Verdict struct {
	Number uint64 `json:"number"`
	Rule   Rule   `json:"rule"`
	Reason string `json:"reason"`
}

// Deletes reports whether the root goes, whatever space is free.
func (v *Verdict) Deletes() bool { return v.Rule == RuleAge }

// DeletesForSpace reports whether the root goes while too little space is
// free. The oldest goes first.
func (v *Verdict) DeletesForSpace() bool { return v.Rule == RuleSpace || v.Rule == RuleClock }

// Retain applies the retention to all archived roots, the newest first as
// [List] returns them; the verdicts have the same order. It goes by numbers
// first: the newest keep.Count are never deleted. BootID is that of the
// present boot.
//
// Age counts from archiving, by the clock of then. A clock that lied then is
// noticed because the numbers grow: a root is at most as old as any with a
// lower number says. A clock that may be lying now deletes nothing.
func Retain(list []Root, keep config.Keep, clock Clock, bootID string) []Verdict {
	since := archivedSince(list, clock.Now)
	doubt := clock.Doubt(newestOfEarlierBoots(list, bootID))
	verdicts := make([]Verdict, len(list))
	for i := range list {
		rule, reason := judge(&list[i], uint64(i), keep, since[i], clock.Now, doubt)
		verdicts[i] = Verdict{Number: list[i].Number, Rule: rule, Reason: reason}
	}
	return verdicts
}

func judge(r *Root, position uint64, keep config.Keep, since, now time.Time, doubt string) (Rule, string) {
	age := now.Sub(since)
	days := uint64(age / (24 * time.Hour))
	switch {
	case r.Pin != nil:
		return RulePinned, "pinned: " + r.Pin.Why
	case r.Damage != "":
		return RuleDamaged, "needs a look: " + r.Damage
	case position < keep.Count:
		return RuleCount, format.Sprintf("one of the newest %d", keep.Count)
	case keep.Days == 0:
		return RuleAge, "no age limit protects it"
	case doubt != "":
		return RuleClock, doubt
	case since.IsZero():
		return RuleClock, "when it was archived is not known"
	case days >= keep.Days:
		return RuleAge, format.Sprintf("archived %d days ago", days)
	}
	return RuleSpace, format.Sprintf("archived %d days ago, kept for %d", days, keep.Days)
}

// archivedSince returns, for each root of a list with the newest first, the
// time from which its age counts: the latest that it or any older one was
// archived at. It is zero when no believable time is known, and when one of
// the times lies in the future.
func archivedSince(list []Root, now time.Time) []time.Time {
	since := make([]time.Time, len(list))
	var latest time.Time
	for i := len(list) - 1; i >= 0; i-- {
		if info := list[i].Info; info != nil && info.Archived.After(latest) && info.Archived.Year() >= earliestYear {
			latest = info.Archived
		}
		if !latest.After(now) {
			since[i] = latest
		}
	}
	return since
}

// newestOfEarlierBoots is the latest time at which another boot than this one
// has archived a root.
func newestOfEarlierBoots(list []Root, bootID string) (latest time.Time) {
	for i := range list {
		if info := list[i].Info; info != nil && info.Boot.ID != bootID && info.Archived.After(latest) {
			latest = info.Archived
		}
	}
	return latest
}
