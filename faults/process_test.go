package faults

import (
	"bytes"
	"errors"
	"os/exec"
	"testing"

	"github.com/ebb-nix/ebb/faults/tracer"
)

// process is a command that runs without a tracer.
type process struct {
	command *exec.Cmd
	output  bytes.Buffer
}

func start(t *testing.T, c *tracer.Command) *process {
	t.Helper()
	p := &process{command: exec.Command(c.Path, c.Arguments...)}
	p.command.Env = c.Environment
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	require(t, p.command.Start())
	return p
}

func (p *process) wait(t *testing.T) *tracer.Result {
	t.Helper()
	err := p.command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return &tracer.Result{Status: p.command.ProcessState.ExitCode(), Output: p.output.String()}
}
