package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// How often the console is looked at, and after how long without news a line says that the machine is still at it.
const (
	pollEvery  = 200 * time.Millisecond
	stillAfter = 10 * time.Second
)

// phase is a part of a boot, and the line on the console that it starts with.
type phase struct {
	starts *regexp.Regexp
	text   string
}

// bootPhases are in the order in which they come.
func bootPhases() []phase {
	return []phase{
		{regexp.MustCompile(``), "switched on, the kernel is starting"},
		{regexp.MustCompile(`Booting initrd of`), "systemd runs in the initrd and looks for the disk"},
		{regexp.MustCompile(`Starting ebb-rollback\.service`), "ebb makes the root fresh"},
		{regexp.MustCompile(`Starting ebb-mount\.service`), "ebb brings the persistent paths into place"},
		{regexp.MustCompile(`Finished ebb-mount\.service`), "the initrd prepares the system on the root"},
		{regexp.MustCompile(`Welcome to .*test system`), "systemd runs on the new root and starts the services"},
	}
}

// progress tells how far a boot has come.
type progress struct {
	screen  *screen
	phases  []phase
	verbose bool

	seen    int           // phases
	shown   int           // bytes of the console
	news    time.Duration // when the last line was written
	current string
}

// update is called again and again, with the time since the start and the console as it is then.
func (p *progress) update(elapsed time.Duration, console string) {
	if p.verbose {
		p.showConsole(console)
	}
	for n := p.seen; n < len(p.phases); n++ {
		if p.phases[n].starts.MatchString(console) {
			p.seen = n + 1
			p.say(elapsed, p.phases[n].text)
		}
	}
	if p.screen.live {
		p.screen.status(stamp(elapsed, p.current+" ..."))
	} else if elapsed-p.news >= stillAfter {
		p.news = elapsed
		p.screen.line("%s", stamp(elapsed, "still: "+p.current))
	}
}

func (p *progress) say(elapsed time.Duration, text string) {
	p.current, p.news = text, elapsed
	p.screen.line("%s", stamp(elapsed, text))
}

// showConsole writes the lines that have become complete since the last time.
func (p *progress) showConsole(console string) {
	end := strings.LastIndexByte(console, '\n') + 1
	if end <= p.shown {
		return
	}
	for line := range strings.Lines(console[p.shown:end]) {
		p.screen.line("%s| %s", indent, printable(line))
	}
	p.shown = end
}

// stamp puts a time in front of a text.
func stamp(elapsed time.Duration, text string) string {
	return fmt.Sprintf("%s%5.1f s  %s", indent, elapsed.Seconds(), text)
}

// during runs do and shows progress until it has ended. Console is what progress is read from.
func (p *progress) during(ctx context.Context, start time.Time, console func() string, do func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- do(ctx) }()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		p.update(time.Since(start), console())
		select {
		case err := <-ended: // which do sees to, also when the context is over
			p.update(time.Since(start), console())
			p.screen.wipe()
			return err
		case <-tick.C:
		}
	}
}
