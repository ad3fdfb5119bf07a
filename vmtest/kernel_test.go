package vmtest

import (
	"os"
	"path/filepath"
	"testing"
)

// A kernel is named by its release and series, or by a package that is there; of anything else nothing is guessed.
func TestFindKernel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "linux-image.deb")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]kernel{
		"bookworm/6.1":      {suite: "bookworm", version: "6.1", flavour: kernelFlavour},
		"trixie/6.12/amd64": {suite: "trixie", version: "6.12", flavour: "amd64"},
		file:                {file: file},
	} {
		got, err := (&Kit{kernel: text}).findKernel()
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got.key() == "" {
			t.Errorf("%q has no key for the cache", text)
		}
		got.made = want.made
		if *got != want {
			t.Errorf("%q: got %+v, want %+v", text, *got, want)
		}
	}
	for _, text := range []string{"6.1", "/6.1", "bookworm/", "a/b/c/d", file + ".deb"} {
		if got, err := (&Kit{kernel: text}).findKernel(); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
	if got, err := (&Kit{}).findKernel(); got != nil || err != nil || got.key() != "" {
		t.Errorf("that of the release: %+v, %v", got, err)
	}
}
