package initrd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/kmsg"
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
		{name: "resume= of a device that is not there", parameters: "resume=$DEV/none", want: "cannot tell whether $DEV/none holds"},
		{name: "resume= of a device that is not there, given up", parameters: "resume=$DEV/none noresume"},
		{name: "resume= of nothing", parameters: "resume="},
		{
			name: "a device that is not there, and an image on another", parameters: "resume=$DEV/none", want: "pending on $DEV/block/8:2",
			prepare: func(t *testing.T, from resumeSources) {
				writeSwap(t, from.dev+"/block/8:2", image, 0)
				write(t, from.sysPower+"/resume", "8:2\n")
			},
		},
		{
			name: "what the kernel was told to resume from is not there", want: "cannot tell whether $DEV/block/8:2 holds",
			prepare: func(t *testing.T, from resumeSources) { write(t, from.sysPower+"/resume", "8:2\n") },
		},
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
			name: "ordinary swap by uuid", parameters: "resume=UUID=abcd",
			prepare: func(t *testing.T, from resumeSources) {
				writeSwap(t, from.dev+"/disk/by-uuid/abcd", noImage, 0)
			},
		},
		{
			name: "image by a label that udev writes otherwise", parameters: `"resume=LABEL=my/swap ü"`, want: `/disk/by-label/my\x2fswap\x20ü`,
			prepare: func(t *testing.T, from resumeSources) {
				writeSwap(t, from.dev+`/disk/by-label/my\x2fswap\x20ü`, image, 0)
			},
		},
		{
			name: "image by number", parameters: "resume=8:2", want: "/block/8:2",
			prepare: func(t *testing.T, from resumeSources) { writeSwap(t, from.dev+"/block/8:2", image, 0) },
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
			name: "ordinary swap that the kernel was told to resume from",
			prepare: func(t *testing.T, from resumeSources) {
				writeSwap(t, from.dev+"/block/8:2", noImage, 0)
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
			name: "EFI variable that was given up", parameters: "noresume",
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
			want := strings.ReplaceAll(test.want, "$DEV", from.dev)
			found := guardHibernation(cmdline.Parse(strings.ReplaceAll(test.parameters, "$DEV", from.dev)), from)
			if want == "" {
				if found != nil {
					t.Errorf("refused: %v", found.refusal(false))
				}
				return
			}
			if found == nil {
				t.Fatal("not refused")
			}
			for _, mounted := range []bool{false, true} {
				err := found.refusal(mounted)
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
					t.Errorf("mounted %v: got %v", mounted, err)
				}
				if hint := Hint(err); strings.Contains(hint, "to resume the machine") == mounted || !strings.Contains(hint, "never resume") || strings.Contains(hint, "gives the image up") != mounted {
					t.Errorf("mounted %v: hint %q", mounted, hint)
				}
			}
		})
	}
}

// What gives an image up is a command that can be typed, where there is one.
func TestWhatToTypeAboutAnImage(t *testing.T) {
	for _, test := range []struct {
		device       resumeDevice
		reason, hint string
	}{
		{resumeDevice{"/dev/swap", 0}, "pending on /dev/swap", ": swapon /dev/swap gives the image up"},
		{resumeDevice{"/dev/disk", 7}, "pending on /dev/disk, resume_offset=7", ": swapon of its swap file gives the image up"},
	} {
		err := test.device.trace(nil).refusal(true)
		if !strings.HasSuffix(err.Error(), test.reason) || !strings.Contains(Hint(err), test.hint) {
			t.Errorf("%v, hint %q", err, Hint(err))
		}
	}
}

// A rollback that is refused tells what holds when somebody reads it: with
// on_failure "emergency" nothing has been mounted then, and otherwise the root.
// What works on the archive is refused along with it, in both stages, and what
// is not there stands in its way in the initrd alone.
func TestImageInTheWay(t *testing.T) {
	swap := filepath.Join(t.TempDir(), "swap")
	writeSwap(t, swap, hibernationSignature, 0)
	plain := swap + ".plain"
	writeSwap(t, plain, "SWAPSPACE2", 0)
	const resumable, poison = "to resume the machine", "gives the image up"
	for _, test := range []struct {
		name, parameters string
		onFailure        config.OnFailure
		stage1           bool
		rollback, change string // in the hint; empty: not refused
	}{
		{"image", "resume=" + swap, config.Continue, true, poison, resumable},
		{"image, to stop at", "resume=" + swap, config.Emergency, true, resumable, resumable},
		{"image, in the running system", "resume=" + swap, config.Emergency, false, poison, poison},
		{"image that was given up", "noresume resume=" + swap, config.Continue, true, "", ""},
		{"no image", "resume=" + plain, config.Continue, true, "", ""},
		{"not there", "resume=" + swap + ".gone", config.Continue, true, poison, resumable},
		{"not there, to stop at", "resume=" + swap + ".gone", config.Emergency, true, resumable, resumable},
		{"not there, in the running system", "resume=" + swap + ".gone", config.Continue, false, poison, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, "", "subvolume @")
			b.cfg.Root.OnFailure = test.onFailure
			h := b.host(test.parameters)
			h.Stage1 = test.stage1
			live, changed := b.uuidOf("@"), false
			err := h.ChangeTopLevel(&b.cfg.Root, func(int) error { changed = true; return nil })
			if changed != (test.change == "") || !refusedWith(err, test.change) {
				t.Errorf("change: called %v, %v, hint %q", changed, err, Hint(err))
			}
			err = h.Rollback(b.cfg)
			if !refusedWith(err, test.rollback) || (b.uuidOf("@") == live) != (test.rollback != "") {
				t.Errorf("rollback: %v, hint %q", err, Hint(err))
			}
			if _, err := h.PlanRollback(b.cfg); test.rollback != "" && !errors.Is(err, ErrRefused) {
				t.Errorf("plan: %v", err)
			}
		})
	}
}

func refusedWith(err error, hint string) bool {
	if hint == "" {
		return err == nil
	}
	return errors.Is(err, ErrRefused) && strings.Contains(Hint(err), hint)
}

// Once the root is mounted an image that is still there is told of by every
// status, whatever the rollback did: "noresume" gives it up for one boot only.
func TestStatusTellsOfAnImage(t *testing.T) {
	swap := filepath.Join(t.TempDir(), "swap")
	cfg := &config.Config{Root: config.Root{Kind: config.KindNone}}
	for _, test := range []struct {
		name, mark, parameters, root string
		want                         bool
	}{
		{"image", hibernationSignature, "resume=" + swap, "/", true},
		{"image that was given up for this boot", hibernationSignature, "noresume resume=" + swap, "/", true},
		{"before the root is mounted", hibernationSignature, "resume=" + swap, t.TempDir(), false},
		{"image whose mark does not end with NUL", "S1SUSPEND2", "resume=" + swap, "/", true},
		{"ordinary swap", "SWAPSPACE2", "resume=" + swap, "/", false},
		{"not there", "", "resume=" + swap + ".gone", "/", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			writeSwap(t, swap, test.mark, 0)
			h := &Host{RunDir: t.TempDir(), BootID: "b", CommandLine: cmdline.Parse(test.parameters), Log: &kmsg.Logger{}}
			status, err := h.Status(cfg, test.root)
			if err != nil {
				t.Fatal(err)
			}
			told := false
			for _, p := range status.Problems {
				told = told || strings.Contains(p.Text, "hibernation image on "+swap) && strings.Contains(p.Hint, "swapon "+swap)
			}
			if told != test.want {
				t.Errorf("told: %v, %+v", told, status.Problems)
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
