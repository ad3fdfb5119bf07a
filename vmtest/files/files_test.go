package files

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSorted(t *testing.T) {
	got, err := Sorted([]File{Text("/b/c", "1"), Dir("b", 0o700), Text("a", "old"), Text("/a", "new")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a", "b", "b/c"}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i, f := range got {
		if f.Path != want[i] {
			t.Errorf("entry %d is %s, want %s", i, f.Path, want[i])
		}
	}
	if got[0].Data != "new" {
		t.Error("the later of two entries does not win")
	}
}

func TestNameRefusesOutside(t *testing.T) {
	for _, path := range []string{"", "/", ".", "..", "../x", "a/../b", "a//b"} {
		if _, err := (File{Path: path}).Name(); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(source, []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Write(dir, []File{
		Text("etc/text", "hello"), Program("bin/program", source), Dir("tmp", 0o777|fs.ModeSticky), Symlink("link", "etc/text"),
		{Path: "secret", Mode: 0o600, Data: "s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		mode fs.FileMode
		data string
	}{
		{"etc/text", 0o644, "hello"},
		{"bin/program", 0o755, "binary"},
		{"link", 0o644, "hello"},
		{"secret", 0o600, "s"},
		{"tmp", fs.ModeDir | fs.ModeSticky | 0o777, ""},
	} {
		st, err := os.Stat(filepath.Join(dir, c.path))
		if err != nil {
			t.Error(err)
			continue
		}
		if st.Mode() != c.mode {
			t.Errorf("%s has mode %v, want %v", c.path, st.Mode(), c.mode)
		}
		if st.IsDir() {
			continue
		}
		if data, err := os.ReadFile(filepath.Join(dir, c.path)); err != nil || string(data) != c.data {
			t.Errorf("%s: %q, %v", c.path, data, err)
		}
	}
}
