package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// logPath is where the standard error of a measured program goes: a file in
// memory, in the /run of the namespace.
const logPath = "/run/bench.log"

// launch runs a program by the launcher. It is called in a namespace of its
// own, see inNewNamespace.
func (b *bench) launch(argv ...string) (sample, error) {
	c := exec.Command(b.tools.launch, append([]string{logPath}, argv...)...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	var errors bytes.Buffer
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		return sample{}, fmt.Errorf("%w: %s%s", err, errors.Bytes(), lastBytes(logPath, 2000))
	}
	return parseSample(string(out))
}

func parseSample(text string) (sample, error) {
	var elapsed, processor, kilobytes int64
	if _, err := fmt.Sscan(text, &elapsed, &processor, &kilobytes); err != nil {
		return sample{}, fmt.Errorf("result %q: %w", text, err)
	}
	return sample{Time: time.Duration(elapsed), CPU: time.Duration(processor), RSS: kilobytes << 10}, nil
}

// lastBytes is the end of a file, "" of one that cannot be read.
func lastBytes(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data[max(0, len(data)-n):])
}
