package format

import (
	"strconv"
	"time"
)

// ParseTime reads a time as RFC 3339 has it, "2006-01-02T15:04:05.999999999Z" or
// with "+01:00" at its end. The parser of package time, for any layout, is 1 %
// of the binary.
func ParseTime(text string) (time.Time, error) {
	const layout = "0000-00-00T00:00:00"
	t, rest, ok := parseLayout(text, layout, time.UTC)
	nanoseconds, zone := fraction(rest)
	offset, isZone := parseZone(zone)
	if !ok || !isZone {
		return time.Time{}, Errorf("%q is no time as 2006-01-02T15:04:05Z", text)
	}
	t = t.Add(time.Duration(nanoseconds))
	if offset != 0 {
		t = t.Add(-time.Duration(offset) * time.Second).In(time.FixedZone("", offset))
	}
	return t, nil
}

// ParseDate reads a day, "2006-01-02", as its beginning in a time zone.
func ParseDate(text string, in *time.Location) (time.Time, error) {
	t, rest, ok := parseLayout(text, "0000-00-00", in)
	if !ok || rest != "" {
		return time.Time{}, Errorf("%q is no day as 2006-01-02", text)
	}
	return t, nil
}

// parseLayout reads numbers where the layout has zeros, year first, and returns
// what follows them.
func parseLayout(text, layout string, in *time.Location) (t time.Time, rest string, ok bool) {
	if len(text) < len(layout) {
		return t, "", false
	}
	parts := [6]int{}
	for at, i := 0, 0; at < len(layout); i++ {
		end := at
		for end < len(layout) && layout[end] == '0' {
			end++
		}
		n, err := strconv.ParseUint(text[at:end], 10, 16)
		if err != nil || end < len(layout) && text[end] != layout[end] {
			return t, "", false
		}
		parts[i], at = int(n), end+1
	}
	t = time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], 0, in)
	// A 31st of June would come out as another day.
	ok = t.Day() == parts[2] && int(t.Month()) == parts[1] && parts[3] < 24 && parts[4] < 60 && parts[5] < 60
	return t, text[len(layout):], ok
}

// fraction reads the digits after a point, in nanoseconds, and returns the rest.
func fraction(text string) (nanoseconds int, rest string) {
	if len(text) < 2 || text[0] != '.' || text[1] < '0' || text[1] > '9' {
		return 0, text
	}
	end := 1
	for scale := 100_000_000; end < len(text) && text[end] >= '0' && text[end] <= '9'; end++ {
		nanoseconds += int(text[end]-'0') * scale
		scale /= 10
	}
	return nanoseconds, text[end:]
}

// parseZone reads "Z" or "+01:00", in seconds east of Greenwich.
func parseZone(text string) (seconds int, ok bool) {
	if text == "Z" {
		return 0, true
	}
	if len(text) != len("+00:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, err := strconv.ParseUint(text[1:3], 10, 8)
	minutes, otherErr := strconv.ParseUint(text[4:], 10, 8)
	if err != nil || otherErr != nil || hours > 24 || minutes > 60 {
		return 0, false
	}
	seconds = int(hours)*3600 + int(minutes)*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}
