package format

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Nix writes a string of the Nix language, which has no escapes for what is not
// shown or is not UTF-8.
func Nix(s string) (quoted string, ok bool) {
	text := []byte{'"'}
	for i, r := range s {
		switch {
		case r == '\n':
			text = append(text, `\n`...)
		case r == '\t':
			text = append(text, `\t`...)
		case !strconv.IsPrint(r) || r == utf8.RuneError:
			return "", false
		case r == '"' || r == '\\' || r == '$' && strings.HasPrefix(s[i:], "${"):
			text = append(text, '\\', byte(r))
		default:
			text = utf8.AppendRune(text, r)
		}
	}
	return string(append(text, '"')), true
}
