package format

// Errorf returns an error with the text of Sprintf. The operands of %w, which
// must be errors, are wrapped: errors.Is and errors.As find them.
func Errorf(format string, args ...any) error {
	e := &wrapped{text: Sprintf(format, args...)}
	used := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		var d directive
		d, i = parseDirective(format, i+1)
		i--
		if d.verb == '%' {
			continue
		}
		if used < len(args) && d.verb == 'w' {
			if err, ok := args[used].(error); ok {
				e.errs = append(e.errs, err)
			}
		}
		used++
	}
	return e
}

type wrapped struct {
	text string
	errs []error
}

func (e *wrapped) Error() string   { return e.text }
func (e *wrapped) Unwrap() []error { return e.errs }
