package mounts

import "strconv"

// Verb says what a step does.
type Verb string

// What a step can do.
const (
	MakeDirectory Verb = "creating directory"
	MakeFile      Verb = "creating file"
	MakeSubvolume Verb = "creating subvolume"
	AdoptData     Verb = "adopting"
	MountBind     Verb = "mounting"
	MakeLink      Verb = "linking"
	CopyIn        Verb = "copying"
	CopyBack      Verb = "copying back"
	KeepBeside    Verb = "keeping the older one as"
	SetOwner      Verb = "giving"
	RemoveStale   Verb = "removing what a killed run left behind"
	WriteUtab     Verb = "noting mount options in"
)

// Step is one change, as it is about to be made. Steps are values that turn
// into text only where somebody reads them, see [Step.AppendTo]: a boot with
// thousands of entries takes thousands of them.
type Step struct {
	Verb Verb
	Path string // what is changed, as seen from the root
	From string // where its data comes from, if anywhere
	as   attributes
	has  bool // as is filled in
}

// String gives the step as a message: "creating directory /var/log for 0:0 0755".
func (s Step) String() string { return string(s.AppendTo(nil)) }

// AppendTo appends what String gives.
func (s *Step) AppendTo(text []byte) []byte {
	text = append(append(text, s.Verb...), ' ')
	text = appendPath(text, s.Path)
	switch {
	case s.From != "" && s.Verb == MakeLink:
		text = appendPath(append(text, " to "...), s.From)
	case s.From != "":
		text = appendPath(append(text, " from "...), s.From)
	}
	switch {
	case s.has && s.Verb == SetOwner:
		text = s.as.appendTo(append(text, " to "...))
	case s.has:
		text = s.as.appendTo(append(text, " for "...))
	}
	return text
}

// quotePath leaves an ordinary path as it is and quotes one that could do harm
// to a terminal or be taken for more than one word.
func quotePath(path string) string { return string(appendPath(nil, path)) }

func appendPath(text []byte, path string) []byte {
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return strconv.AppendQuote(text, path)
		}
	}
	return append(text, path...)
}
