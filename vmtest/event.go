package vmtest

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// Event is something that happens once in a boot. It stays true when it has happened.
type Event struct {
	name    string
	reached func(*bootState) bool
	// hopeless, when not empty, is what the guest marks on the console when the event will not come by itself.
	hopeless []string
}

// String is what the event is called in messages.
func (e Event) String() string { return e.name }

// Console is a match of a regular expression on the serial console, a line that is not complete yet included. It panics
// on a pattern that does not compile, like regexp.MustCompile.
func Console(pattern string) Event {
	re := regexp.MustCompile(pattern)
	return Event{
		name:    fmt.Sprintf("%q on the console", pattern),
		reached: func(s *bootState) bool { return re.Match(s.console) },
	}
}

// Mark is the line that "guest mark NAME" writes.
func Mark(name string) Event {
	return Console(regexp.QuoteMeta(wire.MarkPrefix+name) + `\b`)
}

// InitrdUp is the agent of the initrd being ready for commands.
func InitrdUp() Event { return agentUp(wire.Initrd) }

// SystemUp is the agent of the running system being ready for commands. Services may still be starting. Waiting for it
// ends when the machine goes into emergency mode.
func SystemUp() Event {
	e := agentUp(wire.System)
	e.hopeless = []string{initrdEmergency, systemEmergency}
	return e
}

// What the units vmtest-emergency.service mark.
const (
	initrdEmergency = "emergency-initrd"
	systemEmergency = "emergency-system"
)

// InitrdEmergency is the initrd having given up: its emergency shell is on the console.
func InitrdEmergency() Event { return Mark(initrdEmergency) }

// SystemEmergency is the emergency mode of the running system.
func SystemEmergency() Event { return Mark(systemEmergency) }

// Off is the end of QEMU, whoever asked for it.
func Off() Event {
	return Event{name: "the machine being off", reached: func(s *bootState) bool { return s.off }}
}

// troubles counts the marks on the console by which the event has become hopeless.
func (e Event) troubles(s *bootState) int {
	n := 0
	for _, name := range e.hopeless {
		n += bytes.Count(s.console, []byte(wire.MarkPrefix+name))
	}
	return n
}

// listening is any agent being ready.
func listening() Event {
	return Event{name: "an agent", reached: func(s *bootState) bool { return s.listening }}
}

func agentUp(stage string) Event {
	return Event{
		name: "the agent in the " + stage,
		reached: func(s *bootState) bool {
			return s.listening && s.hellos[len(s.hellos)-1].Stage == stage
		},
	}
}
