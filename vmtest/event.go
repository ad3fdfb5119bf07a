package vmtest

import (
	"fmt"
	"regexp"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

// Event is something that happens once in a boot. It stays true when it has happened.
type Event struct {
	name    string
	reached func(*bootState) bool
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

// SystemUp is the agent of the running system being ready for commands. Services may still be starting.
func SystemUp() Event { return agentUp(wire.System) }

// InitrdEmergency is the initrd having given up: its emergency shell is on the console.
func InitrdEmergency() Event { return Mark("emergency-initrd") }

// SystemEmergency is the emergency mode of the running system.
func SystemEmergency() Event { return Mark("emergency-system") }

// Off is the end of QEMU, whoever asked for it.
func Off() Event {
	return Event{name: "the machine being off", reached: func(s *bootState) bool { return s.off }}
}

func agentUp(stage string) Event {
	return Event{
		name: "the agent in the " + stage,
		reached: func(s *bootState) bool {
			return len(s.hellos) > 0 && s.hellos[len(s.hellos)-1].Stage == stage
		},
	}
}
