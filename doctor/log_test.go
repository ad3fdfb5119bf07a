package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/initrd"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// A log that is there, and a mount that failed in this boot in the way that a
// bad log makes it fail, are the mark of a log that cannot be replayed; nothing
// else is, for what is advised then gives up what was fsynced.
func TestLogThatCannotBeReplayed(t *testing.T) {
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, "subvolume @", "file @/letter 0644 0:0 dear")
	const document = `{"version":1,"boot_id":"b","rollback":{"state":"STATE","errno":ERRNO,"kind":"btrfs","started":"2026-01-02T03:04:05Z","steps":[{"name":"STEP","seconds":0}]}}`
	name := filepath.Base(f.Device())
	told := "<4>[ 5.1] BTRFS: error (device " + name + ") in btrfs_replay_log:2104: errno=-5 IO failure (Failed to recover log tree)\n"
	for _, test := range []struct {
		name      string
		log       bool // the file system has one; it is gone at the next commit
		state     string
		errno     unix.Errno
		step      string
		kernelLog string
		mounted   bool
		running   bool
		want      bool
	}{
		{name: "no log", state: "failed", errno: unix.EIO},
		{name: "no log, though the kernel says so", state: "kept", kernelLog: told},
		{name: "rolled back", log: true, state: "done"},
		{name: "EIO", log: true, state: "failed", errno: unix.EIO, want: true},
		{name: "EUCLEAN", log: true, state: "failed", errno: unix.EUCLEAN, want: true},
		{name: "EEXIST", log: true, state: "failed", errno: unix.EEXIST, want: true},
		{name: "EINVAL", log: true, state: "failed", errno: unix.EINVAL, want: true},
		{name: "ENOENT", log: true, state: "failed", errno: unix.ENOENT, want: true},
		{name: "write-protected", log: true, state: "failed", errno: unix.EACCES},
		{name: "read-only", log: true, state: "failed", errno: unix.EROFS},
		{name: "no memory", log: true, state: "failed", errno: unix.ENOMEM},
		{name: "no space", log: true, state: "failed", errno: unix.ENOSPC},
		{name: "not the kernel's word", log: true, state: "failed"},
		{name: "failed later", log: true, state: "failed", errno: unix.EIO, step: "exchange"},
		{name: "the root is mounted since", log: true, state: "failed", errno: unix.EIO, mounted: true},
		{name: "the machine runs", log: true, state: "failed", errno: unix.EIO, running: true},
		{name: "kept", log: true, state: "kept"},
		{name: "kept, and the kernel says so", log: true, state: "kept", kernelLog: "<6>boot\n" + told, want: true},
		{name: "kept, and the kernel says so with its state", log: true, state: "kept", kernelLog: strings.Replace(told, name, name+" state E", 1), want: true},
		{name: "kept, and the kernel cannot read the log", log: true, state: "kept", kernelLog: "<4>[   94.446686] BTRFS warning (device " + name + "): failed to read log tree\n", want: true},
		{name: "kept, and the kernel says something else", log: true, state: "kept", kernelLog: "<3>[   94.548449] BTRFS error (device " + name + "): open_ctree failed: -5\n"},
		{name: "kept, and the kernel says so of another disk", log: true, state: "kept", kernelLog: strings.Replace(told, name, name+"7", 1)},
		{name: "kept, and the kernel had no memory", log: true, state: "kept", kernelLog: strings.Replace(told, "errno=-5 IO failure", "errno=-12 Out of memory", 1)},
		{name: "kept, and the machine runs", log: true, state: "kept", kernelLog: told, running: true},
		{name: "kept, and the root is mounted since", log: true, state: "kept", kernelLog: told, mounted: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.log {
				makeLog(t, f.Path("@/letter"))
			}
			x := &Examination{
				Host:      &initrd.Host{RunDir: t.TempDir(), BootID: "b", Stage1: !test.running, Log: kmsg.New(false)},
				Config:    &config.Config{Root: config.Root{Kind: config.KindBtrfs, Device: f.Device()}},
				KernelLog: test.kernelLog,
			}
			if test.mounted {
				x.Host.Sysroot = f.Dir
			}
			step := test.step
			if step == "" {
				step = initrd.StepOpen
			}
			record := strings.NewReplacer("STATE", test.state, "ERRNO", strconv.Itoa(int(test.errno)), "STEP", step).Replace(document)
			if err := os.WriteFile(filepath.Join(x.Host.RunDir, initrd.RecordName), []byte(record), 0o600); err != nil {
				t.Fatal(err)
			}
			x.examineLog()
			if got := has(x.findings, Fault, "btrfs rescue zero-log "+f.Device()); got != test.want {
				t.Errorf("said so: %v", got)
			}
		})
	}
}

// makeLog leaves a log on a file system: of an fsync after the last commit. One
// in the transaction that has made the subvolume would commit instead.
func makeLog(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
}
