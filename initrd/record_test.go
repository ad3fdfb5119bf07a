package initrd

import (
	"reflect"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/jsontext"
)

// FuzzRecord reads boot records: what is taken for one is written and read again
// as the same, and can be judged.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"boot_id":"b","kernel":"6.1","rollback":{"state":"done","kind":"btrfs","fresh":true,"started":"2026-11-23T00:00:00Z","seconds":0.1,` +
		`"steps":[{"name":"open","seconds":0.1}],"subvolumes":[{"name":"root","path":"@","id":256,"uuid":"01234567-89ab-cdef-0123-456789abcdef"}]},` +
		`"mount":{"state":"failed","started":"2026-11-23T00:00:00Z","seconds":0,"entries":[{"path":"/a","store":"/s","source":"/s/a","how":"bind","state":"refused"}]}}`))
	f.Add([]byte(`{"rollback":{"state":"kept"},"mount":{}}`))
	f.Add([]byte(`{"rollback":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var record, again Record
		if jsontext.Unmarshal(data, &record) != nil {
			return
		}
		text, err := jsontext.Marshal(&record)
		if err != nil {
			return // a time beyond the year 9999, say
		}
		if err := jsontext.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: written as %s: %v", data, text, err)
		}
		second, err := jsontext.Marshal(&again)
		if err != nil || !reflect.DeepEqual(text, second) {
			t.Errorf("written as %s, and then as %s (%v)", text, second, err)
		}
		s := &Status{Record: &record}
		s.judgeRollback(record.Rollback, &config.Config{Root: config.Root{Kind: config.KindBtrfs}})
		s.judgeMount(record.Mount)
	})
}
