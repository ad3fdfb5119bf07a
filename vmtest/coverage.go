package vmtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ebb-nix/ebb/vmtest/files"
)

// countersVariable names the directory to which a program that was built with "go build -cover" writes, when it ends,
// what it has reached. Where it is set on the host, it is set in the machine as well, and what is written there is
// fetched before the machine is switched off. What ends later is not in it: ebb-sync.service, at the shutdown.
const countersVariable = "GOCOVERDIR"

// guestCounters is that directory in the machine; /run is moved from the initrd to the running system.
const guestCounters = "/run/ebb-coverage"

// hostCounters is empty when nobody wants to know.
func hostCounters() string { return os.Getenv(countersVariable) }

// counterParams sets the variable for all that systemd starts (systemd.setenv= in systemd(1)).
func counterParams() []string {
	if hostCounters() == "" {
		return nil
	}
	return []string{"systemd.setenv=" + countersVariable + "=" + guestCounters}
}

// counterFiles let systemd make the directory before the first of ebb's units, and let all of them write to it,
// whatever else they may not (RuntimeDirectory= in systemd.exec(5); "ebb-.service.d" in systemd.unit(5)).
func counterFiles() []files.File {
	if hostCounters() == "" {
		return nil
	}
	return []files.File{files.Text("etc/systemd/system/ebb-.service.d/coverage.conf", "[Service]\n"+
		"RuntimeDirectory="+path.Base(guestCounters)+"\n"+
		"RuntimeDirectoryPreserve=yes\n")}
}

// fetchCounters copies what the host has not got yet, as far as there is an agent to ask.
func (m *Machine) fetchCounters(ctx context.Context) error {
	if hostCounters() == "" || !m.running() || !m.agentListens() {
		return nil
	}
	list, err := m.Run(ctx, "ls", guestCounters)
	if errors.Is(err, errAgentGone) || list.Status != 0 {
		return nil // no unit was started
	}
	if err != nil {
		return fmt.Errorf("fetch what was reached: %w", err)
	}
	for name := range strings.FieldsSeq(list.Stdout) {
		to := filepath.Join(hostCounters(), name)
		if _, err := os.Stat(to); err == nil || !strings.HasPrefix(name, "cov") { // others are being written
			continue
		}
		contents, err := m.Run(ctx, "cat", path.Join(guestCounters, name))
		if err := errors.Join(err, contents.Err()); err != nil {
			return fmt.Errorf("fetch what was reached: %w", err)
		}
		if err := os.WriteFile(to, []byte(contents.Stdout), 0o644); err != nil {
			return fmt.Errorf("fetch what was reached: %w", err)
		}
	}
	return nil
}

func (m *Machine) agentListens() (listens bool) {
	m.vm.state.look(func() { listens = m.vm.state.listening })
	return listens
}
