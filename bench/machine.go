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
	Date      time.Time `json:"date"`
}

func describeMachine() machine {
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
