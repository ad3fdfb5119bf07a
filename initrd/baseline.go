package initrd

import "time"

// Baseline is the end of activation, as the boot record has it: what changes
// from then on is the user's. Package diff knows how it is used.
type Baseline struct {
	Time       time.Time `json:"time"`
	Uptime     float64   `json:"uptime"`               // seconds since the boot, by CLOCK_BOOTTIME
	Generation uint64    `json:"generation,omitempty"` // of a root on btrfs
}

// RecordBaseline notes the end of activation, if this boot has none yet: it is
// run again when its unit is restarted.
func (h *Host) RecordBaseline(b Baseline) error {
	return h.addToRecord(func(r *Record) {
		if r.Baseline == nil {
			r.Baseline = &b
		}
	})
}
