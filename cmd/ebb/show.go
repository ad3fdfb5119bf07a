package main

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ebb-nix/ebb/internal/format"
)

// showText shows names, which may hold anything, to a person: what a terminal
// would act on, or would not show, is written as Go escapes.
func showText(s string) string {
	if isShown(s) && !strings.Contains(s, `\`) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// isShown reports whether a terminal shows all of s as it is.
func isShown(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// shellQuote writes an argument so that a shell reads it as it is: plain, in
// single quotes, or, where it cannot be shown, as bash has it: $'\x1b'.
func shellQuote(s string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%,="
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	if isShown(s) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	text := []byte("$'")
	for i := range len(s) {
		if c := s[i]; strings.IndexByte(plain+" ", c) >= 0 {
			text = append(text, c)
		} else {
			text = format.Appendf(text, `\x%02x`, c)
		}
	}
	return string(append(text, '\''))
}

// formatSize writes a number of bytes as people read it: "1.4 MB".
func formatSize(bytes uint64) string {
	if bytes < 1000 {
		return format.Sprintf("%d B", bytes)
	}
	unit, tenths := 0, bytes/100
	for ; tenths >= 10000; unit++ {
		tenths /= 1000
	}
	return format.Sprintf("%d.%d %sB", tenths/10, tenths%10, "kMGTPE"[unit:unit+1])
}
