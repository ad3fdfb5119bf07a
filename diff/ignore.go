package diff

import "strings"

// Ignore is a list of patterns as in gitignore(5), without classes that have a
// name, as [[:alpha:]].
//
// The matcher is ebb's own: the libraries that know what ** means link package os or
// regexp, which would take more of the binary's budget than is left (57 kB with
// doublestar 4.10). TestIgnoreAsGit compares it with git.
type Ignore struct{ patterns []pattern }

type pattern struct {
	glob      string
	negated   bool // what it matches is not ignored, after all
	directory bool // it matches directories only
	anchored  bool // to the root; others match in any directory
}

// ParseIgnore reads patterns, one a line. None is wrong: one that cannot match
// does not.
func ParseIgnore(text string) *Ignore {
	var list Ignore
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		trimmed := strings.TrimRight(line, " ")
		if strings.HasSuffix(trimmed, `\`) && len(trimmed) < len(line) {
			trimmed += " " // a blank that was escaped
		}
		if p, ok := parsePattern(trimmed); ok {
			list.patterns = append(list.patterns, p)
		}
	}
	return &list
}

func parsePattern(line string) (p pattern, ok bool) {
	if strings.HasPrefix(line, "#") {
		return p, false
	}
	line, p.negated = strings.CutPrefix(line, "!")
	line, p.directory = strings.CutSuffix(line, "/")
	p.anchored = strings.Contains(line, "/")
	p.glob = strings.TrimPrefix(line, "/")
	return p, p.glob != ""
}

// Match reports whether the last pattern that matches an absolute path ignores
// it. That a directory above is ignored is for the caller to know.
func (l *Ignore) Match(path string, directory bool) bool {
	if l == nil {
		return false
	}
	for i := len(l.patterns) - 1; i >= 0; i-- {
		p := &l.patterns[i]
		if p.directory && !directory {
			continue
		}
		subject := path[1:]
		if !p.anchored {
			subject = path[strings.LastIndexByte(path, '/')+1:]
		}
		if glob(p.glob, subject, true) {
			return !p.negated
		}
	}
	return false
}

// glob matches as wildmatch of git does with WM_PATHNAME. Start says that the
// pattern stands at the start of a name.
func glob(p, s string, start bool) bool {
	for len(p) > 0 {
		if p[0] == '*' {
			return globStar(p, s, start)
		}
		if len(s) == 0 {
			return false
		}
		size, ok := globOne(p, s[0])
		if !ok {
			return false
		}
		start = p[0] == '/'
		p, s = p[size:], s[1:]
	}
	return s == ""
}

// globStar matches from a star on. Two of them or more are any number of directories
// where they stand alone between slashes, and else one.
func globStar(p, s string, start bool) bool {
	rest := strings.TrimLeft(p, "*")
	deep := len(p)-len(rest) >= 2 && start && (rest == "" || rest[0] == '/')
	if deep && rest == "" {
		return true
	}
	if deep {
		for {
			if glob(rest[1:], s, true) {
				return true
			}
			i := strings.IndexByte(s, '/')
			if i < 0 {
				return false
			}
			s = s[i+1:]
		}
	}
	for i := 0; ; i++ {
		if glob(rest, s[i:], false) {
			return true
		}
		if i == len(s) || s[i] == '/' {
			return false
		}
	}
}

// globOne matches one byte, and tells how long its pattern is.
func globOne(p string, c byte) (size int, ok bool) {
	switch p[0] {
	case '?':
		return 1, c != '/'
	case '[':
		return globClass(p, c)
	case '\\':
		if len(p) == 1 {
			return 1, false
		}
		return 2, p[1] == c
	}
	return 1, p[0] == c
}

// globClass matches one of [a-z] or [!a-z]; what is not closed matches nothing.
func globClass(p string, c byte) (size int, ok bool) {
	i := 1
	negated := len(p) > 1 && (p[1] == '!' || p[1] == '^')
	if negated {
		i++
	}
	for first := i; ; {
		if i >= len(p) {
			return len(p), false
		}
		if p[i] == ']' && i > first {
			return i + 1, ok != negated && c != '/'
		}
		var low, high byte
		if low, i = classByte(p, i); i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			high, i = classByte(p, i+1)
		} else {
			high = low
		}
		ok = ok || low <= c && c <= high
	}
}

// classByte reads one byte of a class at i.
func classByte(p string, i int) (c byte, next int) {
	if p[i] == '\\' && i+1 < len(p) {
		i++
	}
	return p[i], i + 1
}
