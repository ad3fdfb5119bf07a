package catalog

import (
	"errors"
	"strings"

	"github.com/ebb-nix/ebb/internal/format"

	"github.com/ebb-nix/ebb/internal/jsontext"
)

// entriesOf gives what the document lists.
func entriesOf(document any) ([]any, error) {
	var entries []any
	var version jsontext.Number
	err := eachMember(document, func(name string, value any) (ok bool) {
		switch name {
		case "version":
			version, ok = value.(jsontext.Number)
		case "entries":
			entries, ok = value.([]any)
		}
		return ok
	})
	if err == nil && version != Version {
		err = format.Errorf("version %q, not %s", string(version), Version)
	}
	return entries, err
}

// unpack takes an entry as the binary carries it, see ./compact: one text, with bars
// between the members. What is missing at the end is empty, an empty path is that of
// the name in /var/lib.
func (e *Entry) unpack(text string) {
	var letters string
	for _, to := range [...]*string{&e.Name, &e.Path, &e.What, &letters, &e.Mode, &e.How} {
		*to, text, _ = strings.Cut(text, "|")
	}
	e.Class = Must
	for _, letter := range letters {
		switch letter {
		case 's':
			e.Class = Should
		case 'n':
			e.Class = No
		case 'f':
			e.File = true
		case 'c':
			e.Cache = true
		case 'p':
			e.Mode = "0700"
		}
	}
	if e.Path == "" {
		e.Path = "/var/lib/" + e.Name
	}
}

// read takes an entry from the document.
func (e *Entry) read(value any) error {
	if text, ok := value.(string); ok {
		e.unpack(text)
		return nil
	}
	return eachMember(value, func(name string, value any) (ok bool) {
		switch to := e.field(name).(type) {
		case *string:
			*to, ok = value.(string)
		case *bool:
			*to, ok = value.(bool)
		case *[]string:
			*to, ok = textsOf(value)
		}
		return ok
	})
}

// field gives where the member of that name goes, nil for an unknown one.
func (e *Entry) field(name string) any {
	switch name {
	case "name":
		return &e.Name
	case "path":
		return &e.Path
	case "file":
		return &e.File
	case "what":
		return &e.What
	case "class":
		return (*string)(&e.Class)
	case "why":
		return &e.Why
	case "cache":
		return &e.Cache
	case "user":
		return &e.User
	case "group":
		return &e.Group
	case "mode":
		return &e.Mode
	case "how":
		return &e.How
	case "subvolume":
		return &e.Subvolume
	case "always":
		return &e.Always
	case "options":
		return &e.Options
	case "at":
		return &e.At
	case "source":
		return &e.Source
	}
	return nil
}

// eachMember hands the members of an object to take, and fails at the first
// that it does not want.
func eachMember(value any, take func(name string, value any) (ok bool)) error {
	o, ok := value.(*jsontext.Object)
	if !ok {
		return errors.New("not an object")
	}
	for _, name := range o.Repeated {
		return format.Errorf("field %q stands there twice", name)
	}
	for _, m := range o.Members {
		if !take(m.Name, m.Value) {
			return format.Errorf("field %q: unknown, or not of its kind", m.Name)
		}
	}
	return nil
}

func textsOf(value any) ([]string, bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	texts := make([]string, len(list))
	for i, v := range list {
		if texts[i], ok = v.(string); !ok {
			return nil, false
		}
	}
	return texts, true
}
