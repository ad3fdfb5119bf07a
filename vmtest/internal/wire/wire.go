// Package wire is the language between the harness on the host and its agent in the guest: JSON values, one a line, on
// a virtio serial port.
package wire

// PortName is the name of the virtio serial port. The guest finds it in /sys/class/virtio-ports/*/name.
const PortName = "ebb.vmtest.agent"

// Stages that an agent can speak from.
const (
	Initrd = "initrd"
	System = "system"
)

// MarkPrefix opens the lines that the guest writes on the console for the harness to wait for.
const MarkPrefix = "vmtest: mark "

// Request asks the agent to run a program and wait for its end.
type Request struct {
	ID    uint64   `json:"id"`
	Argv  []string `json:"argv"`
	Stdin []byte   `json:"stdin,omitempty"`
}

// Message is what the agent sends: a Hello when it has started, a Reply to each request, and Bye when it is stopped.
type Message struct {
	Hello *Hello `json:"hello,omitempty"`
	Reply *Reply `json:"reply,omitempty"`
	Bye   bool   `json:"bye,omitempty"`
}

// Hello says that an agent is ready for requests. An agent that was there before is gone by then.
type Hello struct {
	Stage  string `json:"stage"`
	BootID string `json:"boot_id"`
	// Uptime is in seconds.
	Uptime float64 `json:"uptime"`
}

// Reply is the end of a program.
type Reply struct {
	ID uint64 `json:"id"`
	// Status is the exit status, or 128 plus the number of the signal, as a shell counts.
	Status int    `json:"status"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	// Error is set when the program could not be started.
	Error string `json:"error,omitempty"`
}
