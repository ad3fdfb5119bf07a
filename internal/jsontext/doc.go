// Package jsontext reads and writes JSON, as much of it as ebb needs: the
// config, the boot record, meta.json and what the commands print.
//
// It understands the field tags of encoding/json and writes the same text, at
// a tenth of its size, which counts in an initrd. It is stricter in reading:
// names of fields are taken as they are written, members that stand there
// twice are refused, and so is text that is not UTF-8.
package jsontext
