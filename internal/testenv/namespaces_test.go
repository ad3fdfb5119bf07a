package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMountStaysInside mounts a tmpfs and asks the parent process, which is
// outside, whether it sees it.
func TestMountStaysInside(t *testing.T) {
	Need(t, TierNamespaces)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	inside, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(inside), dir) {
		t.Errorf("%s is not mounted inside", dir)
	}
	if strings.Contains(string(inside), " shared:") {
		t.Errorf("there are shared mounts inside:\n%s", inside)
	}
	outside, err := os.ReadFile(filepath.Join("/proc", parentID(), "mountinfo"))
	if err != nil {
		t.Skipf("parent: %v", err)
	}
	if strings.Contains(string(outside), dir) {
		t.Errorf("%s is mounted outside", dir)
	}
}

func parentID() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(status), "\nPPid:\t")
	id, _, _ := strings.Cut(rest, "\n")
	return id
}

// TestUnprivileged runs the namespace tests of this package as nobody.
func TestUnprivileged(t *testing.T) {
	Need(t, TierRoot)
	binary := filepath.Join(t.TempDir(), "testenv.test")
	content, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	// All directories above have to let nobody through.
	scratch, err := os.MkdirTemp("/tmp", "testenv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(scratch) })
	if err := os.Chmod(scratch, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(binary, filepath.Join(scratch, "testenv.test")); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(scratch, "testenv.test"), "-test.v", "-test.run=MountStaysInside|NeedPasses")
	command.Dir = scratch
	command.Env = []string{"TMPDIR=" + scratch}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	output, err := command.CombinedOutput()
	if strings.Contains(string(output), "tests run without namespaces") {
		t.Skipf("no user namespaces for nobody here:\n%s", output)
	}
	if err != nil || !strings.Contains(string(output), "--- PASS: TestMountStaysInside") {
		t.Errorf("as nobody: %v\n%s", err, output)
	}
}
