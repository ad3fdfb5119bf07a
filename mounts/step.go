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
	SetOwner      Verb = "giving"
	RemoveStale   Verb = "removing what a killed run left behind"
	WriteUtab     Verb = "noting mount options in"
)

// Step is one change, as it is about to be made. Steps are values that turn
// into text only when somebody reads them: a boot with thousands of entries
// takes thousands of them.
type Step struct {
	Verb Verb
	Path string // what is changed, as seen from the root
	From string // where its data comes from, if anywhere
	as   attributes
	has  bool // as is filled in
}

// String gives the step as a message: "creating directory /var/log for 0:0 0755".
func (s Step) String() string {
	text := string(s.Verb) + " " + quotePath(s.Path)
	switch {
	case s.From != "" && s.Verb == MakeLink:
		text += " to " + quotePath(s.From)
	case s.From != "":
		text += " from " + quotePath(s.From)
	}
	if s.has {
		if s.Verb == SetOwner {
			return text + " to " + s.as.String()
		}
		text += " for " + s.as.String()
	}
	return text
}

// quotePath leaves an ordinary path as it is and quotes one that could do harm
// to a terminal or be taken for more than one word.
func quotePath(path string) string {
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return strconv.Quote(path)
		}
	}
	return path
}
