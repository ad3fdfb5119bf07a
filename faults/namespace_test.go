package faults

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace moves the thread of the test to a mount namespace of its own,
// which is gone with all that is mounted in it when the test leaves it. The
// goroutine keeps the thread, which nobody else is to get.
func inNamespace(t *testing.T) (leave func()) {
	t.Helper()
	runtime.LockOSThread()
	outside, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require(t, err)
	require(t, unix.Unshare(unix.CLONE_NEWNS))
	require(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	return func() {
		require(t, unix.Setns(outside, unix.CLONE_NEWNS))
		unix.Close(outside)
	}
}

// mountTable returns the mounts of this thread's namespace, without their
// numbers, sorted. Those of other tests are left out: they come and go.
func mountTable(t *testing.T, own string) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/thread-self/mountinfo")
	require(t, err)
	var table []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		// Root, mount point and options; the type and what it is of behind the
		// dash (proc_pid_mountinfo(5)).
		dash := slices.Index(fields, "-")
		if strings.HasPrefix(fields[4], os.TempDir()+"/Test") && !strings.HasPrefix(fields[4], own) {
			continue
		}
		table = append(table, strings.Join(append(fields[3:6:6], fields[dash+1:dash+3]...), " "))
	}
	slices.Sort(table)
	return table
}

// wantMounts demands that the mount table is what it was, with some more.
func (m *machine) wantMounts(t *testing.T, before []string, more ...string) {
	t.Helper()
	want := slices.Sorted(slices.Values(append(slices.Clone(before), more...)))
	if got := m.mounts(t); !slices.Equal(got, want) {
		t.Errorf("mounts:\n%s", lines(got, want))
	}
}

// lines shows how two sorted lists differ.
func lines(got, want []string) string {
	var text strings.Builder
	for _, line := range got {
		if !slices.Contains(want, line) {
			text.WriteString("+ " + line + "\n")
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			text.WriteString("- " + line + "\n")
		}
	}
	if text.Len() == 0 {
		return strings.Join(got, "\n") + "\nwant\n" + strings.Join(want, "\n")
	}
	return text.String()
}
