package initrd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/internal/cmdline"
)

// writeSwap makes a file with a mark at the end of one of its pages.
func writeSwap(t *testing.T, path, mark string, page int) {
	t.Helper()
	size := os.Getpagesize()
	data := make([]byte, (page+1)*size)
	copy(data[(page+1)*size-swapSignatureLength:], mark)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGuardHibernation(t *testing.T) {
	const image, noImage = hibernationSignature, "SWAPSPACE2"
	for _, test := range []struct {
		name       string
		parameters string // $DEV stands for the device directory
		prepare    func(t *testing.T, from resumeSources)
		want       string
	}{
		{name: "nothing anywhere"},
		{name: "resume= of a device that is not there", parameters: "resume=$DEV/none"},
		{
			name: "ordinary swap", parameters: "resume=$DEV/swap",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/swap", noImage, 0) },
		},
		{
			name: "image", parameters: "resume=$DEV/swap", want: "/swap",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/swap", image, 0) },
		},
		{
			name: "stale image that was given up", parameters: "resume=$DEV/swap noresume",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/swap", image, 0) },
		},
		{
			name: "image by uuid", parameters: "resume=UUID=abcd", want: "/disk/by-uuid/abcd",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/disk/by-uuid/abcd", image, 0) },
		},
		{
			name: "image in a swap file", parameters: "resume=$DEV/disk resume_offset=3", want: "/disk",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/disk", image, 3) },
		},
		{
			name: "image elsewhere than at the offset", parameters: "resume=$DEV/disk resume_offset=2",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/disk", image, 3) },
		},
		{
			name: "image on what the kernel was told to resume from", want: "/block/8:2",
			prepare: func(t *testing.T, from resumeSources) {
				writeSwap(t, from.dev+"/block/8:2", image, 0)
				write(t, from.sysPower+"/resume", "8:2\n")
				write(t, from.sysPower+"/resume_offset", "0\n")
			},
		},
		{
			name:    "the kernel was told nothing",
			prepare: func(t *testing.T, from resumeSources) { write(t, from.sysPower+"/resume", "0:0\n") },
		},
		{
			name: "EFI variable", want: "HibernateLocation",
			prepare: func(t *testing.T, from resumeSources) { write(t, from.efivars+"/"+hibernateLocation, "{}") },
		},
		{
			name: "shorter than a swap header", parameters: "resume=$DEV/swap",
			prepare: func(t *testing.T, from resumeSources) { write(t, from.dev+"/swap", "x") },
		},
		{
			name: "not readable", parameters: "resume=$DEV/swap", want: "cannot tell",
			prepare: func(t *testing.T, from resumeSources) {
				if err := os.MkdirAll(from.dev+"/swap", 0o700); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			from := resumeSources{efivars: dir + "/efivars", sysPower: dir + "/power", dev: dir + "/dev"}
			if test.prepare != nil {
				test.prepare(t, from)
			}
			err := guardHibernation(cmdline.Parse(strings.ReplaceAll(test.parameters, "$DEV", from.dev)), from)
			if test.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.want) || Hint(err) == "" {
				t.Errorf("got %v, hint %q", err, Hint(err))
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
