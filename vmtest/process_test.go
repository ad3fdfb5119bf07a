package vmtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/debian"
)

// fakeQEMU returns a tree whose dynamic linker, which is what runs QEMU, is a script. It finds the agent's line as file
// descriptor 3 and the control connection as 4, and has greeted and answered qmp_capabilities when script starts.
func fakeQEMU(t *testing.T, script string) debian.Tree {
	t.Helper()
	tree := debian.Tree(t.TempDir())
	linker := tree.Path("usr/lib64/ld-linux-x86-64.so.2")
	if err := os.MkdirAll(filepath.Dir(linker), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "#!/bin/sh\necho '{\"QMP\": {}}' >&4\nread -r line <&4\necho '{\"return\": {}}' >&4\n" + script
	if err := os.WriteFile(linker, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return tree
}

func startFake(t *testing.T, script string) *process {
	t.Helper()
	p, err := start(fakeQEMU(t, script), commandLine{accel: accelTCG}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// generous is a deadline for what a fake machine does at once.
const generous = 30 * time.Second

func (p *process) expect(t *testing.T, e Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	if err := p.state.wait(ctx, e); err != nil {
		t.Fatalf("wait for %s: %v", e, err)
	}
}

func TestProcessConsole(t *testing.T) {
	p := startFake(t, "echo booting; read -r typed; echo got $typed; echo trouble >&2; exec sleep 60\n")
	p.expect(t, Console("booting"))
	if _, err := p.console.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	p.expect(t, Console("got hello"))
	p.expect(t, Console("trouble"))
	log, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	if string(log) != "booting\ngot hello\ntrouble\n" {
		t.Errorf("console.log: %q", log)
	}
}

func TestProcessKill(t *testing.T) {
	p := startFake(t, "echo up; exec sleep 60\n")
	p.expect(t, Console("up"))
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	p.expect(t, Off())
	if err := p.kill(); err != nil {
		t.Errorf("a second kill: %v", err)
	}
}

func TestProcessReason(t *testing.T) {
	p := startFake(t, `echo '{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}' >&4; read -r line`)
	if err := p.console.Close(); err != nil {
		t.Fatal(err)
	}
	p.expect(t, Off())
	if p.state.reason != reasonReset {
		t.Errorf("reason %q", p.state.reason)
	}
}

func TestProcessFailure(t *testing.T) {
	p := startFake(t, "echo no such device >&2; exit 3\n")
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	err := p.state.wait(ctx, SystemUp())
	if !errors.Is(err, errOff) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}

// A QEMU that ends before it has greeted, for a bad option say, must not leave the harness waiting.
func TestProcessNeverStarts(t *testing.T) {
	tree := fakeQEMU(t, "")
	linker := tree.Path("usr/lib64/ld-linux-x86-64.so.2")
	if err := os.WriteFile(linker, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := start(tree, commandLine{}, t.TempDir()); err == nil {
		t.Error("no error")
	}
}

func TestRunInFake(t *testing.T) {
	p := startFake(t, `
echo '{"hello": {"stage": "system"}}' >&3
read -r request <&3
echo '{"reply": {"id": 1, "status": 3, "stdout": "b3V0", "stderr": "ZXJy"}}' >&3
read -r request <&3
echo '{"bye": true}' >&3
exec sleep 60
`)
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	r, err := p.agent.run(ctx, "", []string{"ls", "/"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 3 || r.Stdout != "out" || r.Stderr != "err" {
		t.Errorf("got %+v", r)
	}
	if text := r.Err().Error(); !strings.Contains(text, "ls /: status 3") {
		t.Errorf("error text %q", text)
	}
	if _, err := p.agent.run(ctx, "", []string{"poweroff"}); !errors.Is(err, errAgentGone) {
		t.Errorf("a command that outlives its agent: %v", err)
	}
	brief, cancelBrief := context.WithTimeout(t.Context(), shortly)
	defer cancelBrief()
	if _, err := p.agent.run(brief, "", []string{"ls"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command with nobody there: %v", err)
	}
}
