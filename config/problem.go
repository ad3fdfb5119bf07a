package config

import "strings"

// Problem is one thing that is wrong with a document.
type Problem struct {
	Place  string `json:"place"` // stores./persist.directories[3].mode; empty for the whole
	Reason string `json:"reason"`
}

// String gives the problem as one line: place, colon, reason.
func (p Problem) String() string {
	if p.Place == "" {
		return p.Reason
	}
	return p.Place + ": " + p.Reason
}

// Problems is the error of [Parse]: all that is wrong, in document order.
type Problems []Problem

// Error gives one line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}
