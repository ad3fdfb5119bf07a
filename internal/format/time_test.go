package format

import (
	"strings"
	"testing"
	"time"
)

// TestParseTime holds the parser against that of package time.
func TestParseTime(t *testing.T) {
	for _, text := range []string{
		"2026-11-23T06:40:00Z", "1970-01-01T00:00:00Z", "2106-02-07T06:28:16.123456789Z", "2026-11-23T06:40:00.5+01:00", "2024-02-29T23:59:59-11:30",
		"", "2026", "2026-11-23", "2026-11-23T06:40:00", "2026-11-23 06:40:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+01:60", "-026-01-01T00:00:00Z", "2026-01-01T00:00:00Zx", "2026-+1-01T00:00:00Z",
	} {
		got, err := ParseTime(text)
		want, wantErr := time.Parse(time.RFC3339Nano, text)
		if (err == nil) != (wantErr == nil) || err == nil && !got.Equal(want) {
			t.Errorf("%q: %v, %v; package time has %v, %v", text, got, err, want, wantErr)
		}
	}
}

func TestParseDate(t *testing.T) {
	for _, text := range []string{"2026-11-23", "2024-02-29", "2026-02-29", "2026-11-2", "2026-11-233", "x026-11-23", ""} {
		got, err := ParseDate(text, time.UTC)
		want, wantErr := time.Parse(time.DateOnly, text)
		if (err == nil) != (wantErr == nil) || err == nil && !got.Equal(want) {
			t.Errorf("%q: %v, %v; package time has %v, %v", text, got, err, want, wantErr)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("2026-11-23T06:40:00.25+01:00")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseTime(text)
		if err != nil {
			return
		}
		// Package time takes a comma for the point, and what is beyond nanoseconds.
		if want, wantErr := time.Parse(time.RFC3339Nano, text); wantErr != nil || !got.Equal(want) {
			t.Errorf("%q: %v; package time has %v, %v", text, got, want, wantErr)
		}
		if strings.Contains(text, ",") {
			t.Errorf("%q has a comma", text)
		}
	})
}

func FuzzParseDate(f *testing.F) {
	f.Add("2026-11-23")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseDate(text, time.UTC)
		want, wantErr := time.Parse(time.DateOnly, text)
		if (err == nil) != (wantErr == nil) || err == nil && !got.Equal(want) {
			t.Errorf("%q: %v, %v; package time has %v, %v", text, got, err, want, wantErr)
		}
	})
}
