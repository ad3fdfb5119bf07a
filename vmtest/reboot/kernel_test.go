package reboot

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/testenv"
	"github.com/ebb-nix/ebb/powercut"
	"github.com/ebb-nix/ebb/vmtest"
	"github.com/ebb-nix/ebb/vmtest/files"
)

const (
	// cutsProgram is where the machine has the program of package powercut.
	cutsProgram = "/opt/cuts"
	// Power cuts in each recording, a quarter of them for each further cut in the recovery.
	kernelCuts     = 20
	kernelCutsLong = 60
)

// shortScenarios are those of the short run; kernelScenarios, of each of what a kernel does in its own way one, those for a
// kernel that was asked for.
func shortScenarios() []string { return []string{"between", "fsyncs", "ext4-fsyncs", "f2fs-fsyncs"} }

func kernelScenarios() []string {
	return append(shortScenarios(), "four-writers", "deletions", "in-root-writers", "restore-fsyncs", "raid1-fsyncs",
		"strange", "nested-between", "xfs-fsyncs", "f2fs", "f2fs-keep")
}

// What is on a disk behind a power cut, and what becomes of it, is a matter of the kernel. The recordings of package
// powercut are made in a machine, and judged there, by the kernel and the tools that it has.
func TestPowerCutsInMachine(t *testing.T) {
	m := newMachine(t, standardLayout(), standardFstab(), document(standardRoot, basicStores))
	program, err := vmtest.Compile(t.Context(), "github.com/ebb-nix/ebb/powercut/cuts", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m.Config.System = append(m.Config.System, files.Program(cutsProgram, program))
	m.Config.MemoryMB = 3072 // disks and their logs are in memory
	m.up(m.Boot)
	m.wantKernel()
	m.Run("modprobe", "--all", "fuse", "loop")
	distinct, scenarios := 0, m.scenarios()
	for _, s := range scenarios {
		distinct += m.cutPower(&s)
	}
	t.Logf("%d scenarios, %d different states", len(scenarios), distinct)
	m.Off()
}

// wantKernel checks that the machine runs the kernel that was asked for.
func (m *machine) wantKernel() {
	m.t.Helper()
	release := strings.TrimSpace(m.Run("uname", "--kernel-release"))
	m.t.Log("Linux", release)
	parts := strings.Split(os.Getenv(vmtest.KernelEnv), "/")
	if !strings.HasSuffix(parts[len(parts)-1], ".deb") && len(parts) > 1 && !strings.HasPrefix(release, parts[1]+".") {
		m.t.Fatalf("the kernel is %s, and %s was asked for", release, strings.Join(parts, "/"))
	}
}

// scenarios are those that the kernel of the machine has the file systems for.
func (m *machine) scenarios() []powercut.Scenario {
	m.t.Helper()
	list, chosen := powercut.Scenarios(), shortScenarios()
	if os.Getenv(vmtest.KernelEnv) != "" {
		chosen = kernelScenarios()
	}
	if !testenv.IsLong(m.t, fmt.Sprintf("%d of %d recordings for power cuts in a machine", len(list)-len(chosen), len(list))) {
		list = slices.DeleteFunc(list, func(s powercut.Scenario) bool { return !slices.Contains(chosen, s.Name) })
		if len(list) != len(chosen) {
			m.t.Fatalf("of %q there are only %d", chosen, len(list))
		}
	}
	return slices.DeleteFunc(list, func(s powercut.Scenario) bool {
		if s.Store != "" && m.Try("modprobe", s.Store).Status != 0 {
			testenv.LeaveOut(m.t, fmt.Sprintf("power cuts of a store on %s, which the kernel of the machine does not have (make test-vm-kernels)", s.Store))
			return true
		}
		return s.Rest > 0
	})
}

// cutPower tries a scenario in the machine and returns in how many different states the disk was.
func (m *machine) cutPower(s *powercut.Scenario) int {
	m.t.Helper()
	states := kernelCuts
	if testenv.Long() {
		states = kernelCutsLong
	}
	if n := number(m.t, cutsEnv); n > 0 {
		states = int(n)
	}
	states >>= 2 * max(s.Depth-1, 0)
	out := m.Run(cutsProgram, "run", "-states", fmt.Sprint(states), "-nested", "3", "-checks", "25", s.Name)
	var result powercut.Result
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		m.t.Fatalf("%s: %v\n%s", s.Name, err, out)
	}
	for _, f := range result.Failures {
		m.t.Errorf("%s, state %s: %s", s.Name, f.State, f.Reason)
	}
	m.t.Log(&result)
	return result.Distinct
}
