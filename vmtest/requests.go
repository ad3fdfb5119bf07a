package vmtest

import (
	"encoding/json"
	"fmt"
)

// Requests are how many requests a disk has had since the machine was switched on.
type Requests struct {
	Reads   int `json:"rd_operations"`
	Writes  int `json:"wr_operations"`
	Flushes int `json:"flush_operations"`
}

// Requests returns those of the first disk. It takes the machine far less than a millisecond to answer.
func (m *Machine) Requests() (Requests, error) {
	if m.vm == nil {
		return Requests{}, fmt.Errorf("requests of the disk: %w", errNeverBooted)
	}
	answer, err := m.vm.qmp.execute("query-blockstats", nil)
	if err != nil {
		return Requests{}, fmt.Errorf("requests of the disk: %w", err)
	}
	var disks []struct {
		Device string   `json:"device"`
		Stats  Requests `json:"stats"`
	}
	if err := json.Unmarshal(answer, &disks); err != nil {
		return Requests{}, fmt.Errorf("requests of the disk: %w", err)
	}
	for _, d := range disks {
		if d.Device == firstDisk {
			return d.Stats, nil
		}
	}
	return Requests{}, fmt.Errorf("requests of the disk: QEMU has no %s: %s", firstDisk, answer)
}
