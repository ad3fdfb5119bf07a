package mounts

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The file system that an entry lies on may never answer: one of a user's own (FUSE
// with allow_other), or one whose server is away. Whoever waits for it cannot be
// interrupted, only killed (request_wait_answer in the kernel's fs/fuse/dev.c). The
// other entries must not wait as well, least of all when the machine goes down.

// MostPatience is enough for an entry: a slow disk is not one that never answers.
const MostPatience = time.Minute

// leastPatience is what is left of that in the end: ebb-sync.service has five minutes
// to stop. The watching begins with it, because it will come back to what has failed,
// and other files change meanwhile.
const leastPatience = 10 * time.Second

var errNoAnswer = errors.New("its file system does not answer: one of a user's (FUSE), or of a server that is away")

// task is something that a goroutine of its own does.
type task struct{ over atomic.Bool }

func (t *task) begin(do func()) {
	go func() {
		do()
		t.over.Store(true)
	}()
}

// wait reports whether it is over within that time. It looks again and again, at
// first very soon: a channel and a timer are 5 kB of the binary, and a timer has the
// runtime make a poller.
func (t *task) wait(patience time.Duration) bool {
	for pause := 20 * time.Microsecond; !t.over.Load(); pause = min(2*pause, 10*time.Millisecond) {
		if patience <= 0 {
			return false
		}
		sleep := unix.NsecToTimespec(int64(pause))
		_ = unix.Nanosleep(&sleep, nil)
		patience -= pause
	}
	return true
}

// pass is one entry that is waited for. It has a run of its own, so that the others
// do not need the directories that it has open. One that is given up in the moment
// before its last step takes that: worst case, a whole copy is reported as none.
type pass struct {
	task task
	one  placing
	err  error
}

// copyBackPatiently fails when copyBack does not come to an end. It is not begun again
// before it has.
func (p *placing) copyBackPatiently() error {
	r := p.run.root
	for i, old := range r.stuck {
		if old.one.item.Entry != p.item.Entry {
			continue
		}
		if !old.task.wait(0) {
			return errNoAnswer
		}
		r.stuck = append(r.stuck[:i], r.stuck[i+1:]...)
		break
	}
	result := *p.result
	pass := &pass{one: placing{run: newRun(r, p.run.dry), item: p.item, result: &result}}
	one := &pass.one
	one.run.planned = p.run.planned
	pass.task.begin(func() {
		pass.err = one.copyBack()
		one.source.close()
		one.target.close()
		one.run.close()
	})
	if pass.task.wait(r.Patience) {
		*p.result = result
		p.run.notes = append(p.run.notes, one.run.notes...)
		return pass.err
	}
	one.run.givenUp.Store(true)
	if p.run.dry {
		p.run.planned = map[string]bool{} // the other one is still in use
	}
	r.stuck = append(r.stuck, pass)
	r.Patience = max(r.Patience/2, leastPatience)
	return errNoAnswer
}
