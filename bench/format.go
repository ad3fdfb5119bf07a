package main

import "fmt"

// seconds gives a time in a unit that leaves three digits or so.
func seconds(s float64) string {
	switch {
	case s < 0.0995:
		return fmt.Sprintf("%.2f ms", s*1e3)
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", s*1e3)
	}
	return fmt.Sprintf("%.2f s", s)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// times gives a ratio, and nothing for the floor itself.
func times(ratio summary) string {
	if ratio == (summary{1, 1, 1}) || ratio.median == 0 {
		return ""
	}
	if ratio.median >= 10 {
		return fmt.Sprintf("%.0f", ratio.median)
	}
	return fmt.Sprintf("%.2f [%.2f-%.2f]", ratio.median, ratio.min, ratio.max)
}
