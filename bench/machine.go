package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is what the numbers were measured on.
type machine struct {
	Processor string    `json:"processor"`
	CPUs      int       `json:"cpus"`
	Kernel    string    `json:"kernel"`
	Go        string    `json:"go"`
	PageFault int64     `json:"page_fault_ns"`
	Syscall   int64     `json:"system_call_ns"`
	Date      time.Time `json:"date"`
}

func (b *bench) describeMachine() (machine, error) {
	m := nameMachine()
	out, err := exec.Command(b.tools.costs).Output()
	if err != nil {
		return m, fmt.Errorf("costs of the machine: %w", err)
	}
	_, err = fmt.Sscan(string(out), &m.PageFault, &m.Syscall)
	return m, err
}

func nameMachine() machine {
	m := machine{Processor: "unknown", CPUs: runtime.NumCPU(), Go: runtime.Version(), Date: time.Now()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}

func (m *machine) lines() []string {
	return []string{
		fmt.Sprintf("%s, %d CPUs, Linux %s, %s.", m.Processor, m.CPUs, m.Kernel, m.Go),
		fmt.Sprintf("A page fault takes %d ns here and a system call %d ns. A virtual machine adds to both, and with them "+
			"to what starting a program in Go costs before it does anything.", m.PageFault, m.Syscall),
		m.Date.Format("2006-01-02."),
	}
}

// describeEbb says which ebb is measured.
func (b *bench) describeEbb() string {
	out, err := exec.Command(b.tools.ebb, "version").Output()
	if err != nil {
		return "ebb of an unknown version."
	}
	return strings.TrimSpace(string(out)) + "."
}
