package initrd

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/archive"
	"github.com/ebb-nix/ebb/btrfs"
	"github.com/ebb-nix/ebb/config"
	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/kmsg"
	"github.com/ebb-nix/ebb/internal/testenv"
)

// bench is a btrfs with a machine that boots from it.
type bench struct {
	*testenv.Fixture
	t    *testing.T
	cfg  *config.Config
	boot int
}

func newBench(t *testing.T, rootMembers string, specs ...string) *bench {
	t.Helper()
	f := testenv.Btrfs(t, testenv.BtrfsOptions{})
	testenv.Tree(t, f.Dir, specs...)
	cfg, err := config.Parse([]byte(fmt.Sprintf(`{"version": 1, "root": {"kind": "btrfs", "device": %q %s}}`, f.Device(), rootMembers)))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Fixture: f, t: t, cfg: cfg}
}

// host is the machine in a new boot.
func (b *bench) host(parameters string) *Host {
	b.boot++
	return &Host{
		RunDir: filepath.Join(b.t.TempDir(), "run"), Sysroot: "/nonexistent/sysroot",
		BootID: fmt.Sprintf("boot-%d", b.boot), Kernel: "6.12", CommandLine: cmdline.Parse(parameters),
		Log: &kmsg.Logger{},
	}
}

// rollback boots and rolls back, and returns the record of it.
func (b *bench) rollback(parameters string) *RollbackRecord {
	b.t.Helper()
	h := b.host(parameters)
	if err := h.Rollback(b.cfg); err != nil {
		b.t.Fatalf("rollback: %v", err)
	}
	record, err := ReadRecord(h.RunDir, h.BootID)
	if err != nil {
		b.t.Fatal(err)
	}
	return record.Rollback
}

func (b *bench) exists(path string) bool {
	_, err := os.Lstat(b.Path(path))
	return err == nil
}

func (b *bench) wantFile(path, want string) {
	b.t.Helper()
	if got, err := os.ReadFile(b.Path(path)); err != nil || string(got) != want {
		b.t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
	}
}

func (b *bench) wantGone(path string) {
	b.t.Helper()
	if b.exists(path) {
		b.t.Errorf("%s is still there", path)
	}
}

func (b *bench) info(path string) btrfs.SubvolumeInfo {
	b.t.Helper()
	info, err := btrfs.Info(b.Open(path))
	if err != nil {
		b.t.Fatal(err)
	}
	return info
}

func TestRollbackFromBlank(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "subvolume @persist",
		"file @blank/etc-in-blank 0644 0:0 blank", "file @persist/kept 0644 0:0 kept")
	testenv.Tree(t, b.Path("@"), "dir var", "file var/junk 0600 1000:100 first", "subvolume srv", "file srv/inner 0644 0:0 nested")
	old := b.info("@")

	record := b.rollback("")

	b.wantGone("@/var/junk")
	b.wantFile("@/etc-in-blank", "blank")
	b.wantFile("@persist/kept", "kept")
	b.wantFile("@roots/000001/root/var/junk", "first")
	b.wantFile("@roots/000001/root/srv/inner", "nested")
	b.wantGone("@roots/.next")
	archived := b.info("@roots/000001/root")
	if archived.UUID != old.UUID || archived.ID != old.ID || !archived.Flags.IsReadOnly() {
		t.Errorf("archived root is %+v, the old one was %+v", archived, old)
	}
	fresh := b.info("@")
	made, _ := record.Subvolume("root")
	if record.State != StateDone || !record.Fresh || record.Sequence != 1 || record.Archive != "@roots/000001" ||
		made.UUID != fresh.UUID || made.ID != fresh.ID || made.OldID != old.ID || made.Blank != "@blank" || made.Archived != "@roots/000001/root" {
		t.Errorf("record %+v does not describe the fresh root %+v", record, fresh)
	}
	st, err := os.Stat(b.Path("@roots"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the archive has mode %v, %v", st.Mode(), err)
	}
	info, err := archive.ReadInfo(b.Open("@roots/000001"))
	if err != nil || info.Sequence != 1 || info.Boot.ID != "boot-1" || info.Previous != nil {
		t.Errorf("meta.json: %+v, %v", info, err)
	}
}

func TestRollbackAgainAndAgain(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank")
	for boot := 1; boot <= 4; boot++ {
		testenv.Tree(t, b.Path("@"), fmt.Sprintf("file written 0644 0:0 in-%d", boot))
		if record := b.rollback(""); record.Sequence != uint64(boot) {
			t.Fatalf("boot %d got number %d", boot, record.Sequence)
		}
		b.wantGone("@/written")
	}
	for boot := 1; boot <= 4; boot++ {
		b.wantFile(fmt.Sprintf("@roots/%06d/root/written", boot), fmt.Sprintf("in-%d", boot))
	}
	info, err := archive.ReadInfo(b.Open("@roots/000003"))
	if err != nil || info.Previous == nil || info.Previous.ID != "boot-2" {
		t.Errorf("archived root 3 does not know that boot 2 made it: %+v, %v", info, err)
	}
}

func TestSecondRunInABootDoesNothing(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank")
	h := b.host("")
	for run := range 3 {
		if err := h.Rollback(b.cfg); err != nil {
			t.Fatal(err)
		}
		testenv.Tree(t, b.Path("@"), fmt.Sprintf("file live-%d 0644 0:0 live", run))
	}
	b.wantFile("@/live-0", "live")
	b.wantFile("@/live-1", "live")
	b.wantGone("@roots/000002")
}

// The number grows also when archived roots were deleted, the newest too.
func TestNumbersOnlyGrow(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank")
	b.rollback("")
	b.rollback("")
	archiveFd := b.Open("@roots")
	for _, number := range []string{"000001", "000002"} {
		info := b.info("@roots/" + number + "/root")
		if err := btrfs.DeleteByID(archiveFd, info.ID); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(b.Path("@roots", number)); err != nil {
			t.Fatal(err)
		}
	}
	if record := b.rollback(""); record.Sequence != 3 {
		t.Errorf("got number %d, want 3", record.Sequence)
	}
}

func TestRollbackWithoutBlankIsEmpty(t *testing.T) {
	b := newBench(t, "", "subvolume @", "file @/junk 0644 0:0 junk")
	if err := os.Chmod(b.Path("@"), 0o777); err != nil {
		t.Fatal(err)
	}
	record := b.rollback("")
	entries, err := os.ReadDir(b.Path("@"))
	if err != nil || len(entries) != 0 {
		t.Errorf("the fresh root holds %v, %v", entries, err)
	}
	st, err := os.Stat(b.Path("@"))
	if err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("the fresh root has mode %v, %v", st.Mode(), err)
	}
	if made, _ := record.Subvolume("root"); made.Blank != "" {
		t.Errorf("the record names a blank: %+v", made)
	}
}

func TestRollbackAlsoAndSlashes(t *testing.T) {
	b := newBench(t, `, "subvolume": "nixos/@", "blank": "nixos/blank", "archive": "nixos/old/roots",
		"also": [{"name": "home", "subvolume": "@home", "blank": "@home-blank"}, {"name": "u", "subvolume": "nixos/u"}]`,
		"dir nixos 0755 0:0", "subvolume nixos/@", "subvolume nixos/blank", "subvolume @home", "subvolume @home-blank", "subvolume nixos/u 0700 1000:100",
		"file nixos/@/a 0644 0:0 a", "file @home/b 0644 0:0 b", "file nixos/u/c 0644 0:0 c", "dir @home-blank/skeleton 0755 0:0")
	b.rollback("")
	b.wantGone("nixos/@/a")
	b.wantGone("@home/b")
	b.wantGone("nixos/u/c")
	if !b.exists("@home/skeleton") {
		t.Error("@home was not made from its blank")
	}
	b.wantFile("nixos/old/roots/000001/root/a", "a")
	b.wantFile("nixos/old/roots/000001/home/b", "b")
	b.wantFile("nixos/old/roots/000001/u/c", "c")
	var st unix.Stat_t
	if err := unix.Stat(b.Path("nixos/u"), &st); err != nil || st.Uid != 1000 || st.Gid != 100 || st.Mode&0o7777 != 0o700 {
		t.Errorf("the empty subvolume is not its user's: %d:%d %o, %v", st.Uid, st.Gid, st.Mode, err)
	}
	for _, name := range []string{"root", "home", "u"} {
		if !b.info("nixos/old/roots/000001/" + name).Flags.IsReadOnly() {
			t.Errorf("%s is not read-only", name)
		}
	}
}

func TestRollbackMakesAMissingRoot(t *testing.T) {
	b := newBench(t, "", "subvolume @blank", "file @blank/in-blank 0644 0:0 blank")
	record := b.rollback("")
	b.wantFile("@/in-blank", "blank")
	if record.Archive != "" || b.exists("@roots/000001") || b.exists("@roots/.next") {
		t.Errorf("something was archived: %+v", record)
	}
	b.rollback("")
	b.wantFile("@roots/000002/root/in-blank", "blank")
}

func TestRollbackToACopy(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "file @/wanted 0644 0:0 back",
		"subvolume @/srv", "subvolume @/srv/deeper", "file @/srv/inner 0644 0:0 nested", "subvolume @roots/000001x", "subvolume @persist")
	if record := b.rollback(""); record.NotCopied != nil {
		t.Errorf("not copied: %q", record.NotCopied)
	}
	record := b.rollback("quiet ebb.rollback=1")
	b.wantFile("@/wanted", "back")
	b.wantGone("@/srv/inner")
	b.wantFile("@roots/000001/root/wanted", "back")
	b.wantFile("@roots/000001/root/srv/inner", "nested")
	if want := []string{"@roots/000001/root/srv", "@roots/000001/root/srv/deeper"}; !slices.Equal(record.NotCopied, want) {
		t.Errorf("not copied: %q, want %q", record.NotCopied, want)
	}
	if record.CopyOf != 1 || b.info("@").Flags.IsReadOnly() {
		t.Errorf("record %+v, or the copy is read-only", record)
	}
	b.rollback("")
	b.wantGone("@/wanted")

	h := b.host("ebb.rollback=77")
	if err := h.Rollback(b.cfg); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "77") {
		t.Errorf("a root that is not there: %v", err)
	}
}

// Planning looks at a disk that is not mounted, and leaves every byte as it is.
func TestPlanChangesNothing(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank")
	b.rollback("")
	b.Unmount()
	before := b.hash()
	h := b.host("")
	lines, err := h.PlanRollback(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if after := b.hash(); after != before {
		t.Error("the disk is not what it was before planning")
	}
	if _, err := os.Stat(h.RunDir); err == nil {
		t.Error("planning has written a record")
	}
	b.Mount()
	done := b.rollbackLines()
	if strings.Join(lines, "\n") != strings.Join(done, "\n") {
		t.Errorf("planned\n%s\ndone\n%s", strings.Join(lines, "\n"), strings.Join(done, "\n"))
	}
}

// A power cut leaves a log that the next mount replays, and writes to the disk for
// it, also one that is read-only. Planning looks past the log.
func TestPlanReplaysNoLog(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "file @/letter 0644 0:0 dear")
	b.cutPower("@/letter")
	h, before := b.host(""), b.hash()
	lines, err := h.PlanRollback(b.cfg)
	if err != nil || len(lines) == 0 {
		t.Fatalf("planned %q, %v", lines, err)
	}
	if b.hash() != before || !b.hasLog() {
		t.Error("the disk is not what it was before planning")
	}
	// An ordinary mount does replay it.
	if err := unix.Mount(b.Device(), b.Dir, "btrfs", unix.MS_RDONLY, "subvolid=5"); err != nil {
		t.Fatal(err)
	}
	b.wantFile("@/letter", "fsynced")
	if err := unix.Unmount(b.Dir, 0); err != nil {
		t.Fatal(err)
	}
	if b.hash() == before || b.hasLog() {
		t.Error("the log that was there is not one that is replayed")
	}
	b.Mount()
	b.rollback("")
	b.wantGone("@/letter")
}

// cutPower writes a file anew, fsyncs it, and leaves the disk unmounted as it is at
// that instant, with a log.
func (b *bench) cutPower(path string) {
	b.t.Helper()
	if err := btrfs.Sync(b.Open(".")); err != nil {
		b.t.Fatal(err)
	}
	file, err := os.OpenFile(b.Path(path), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = file.WriteString("fsynced")
	if err = errors.Join(err, file.Sync()); err != nil {
		b.t.Fatal(err)
	}
	image, err := os.ReadFile("/sys/block/" + filepath.Base(b.Device()) + "/loop/backing_file")
	if err != nil {
		b.t.Fatal(err)
	}
	name, saved := strings.TrimSpace(string(image)), filepath.Join(b.t.TempDir(), "image")
	b.copySparse(name, saved)
	if err := file.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.Unmount()
	b.copySparse(saved, name)
	b.forgetCache()
	if !b.hasLog() {
		b.t.Fatal("there is no log on the disk")
	}
}

func (b *bench) copySparse(from, to string) {
	b.t.Helper()
	if output, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
		b.t.Fatalf("cp: %v\n%s", err, output)
	}
}

// forgetCache makes the kernel read the device anew (BLKFLSBUF, ioctl_list(2)).
func (b *bench) forgetCache() {
	b.t.Helper()
	device, err := os.Open(b.Device())
	if err != nil {
		b.t.Fatal(err)
	}
	defer device.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.BLKFLSBUF, 0); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) hasLog() bool {
	b.t.Helper()
	s, err := btrfs.ReadSuperblock(b.Device())
	if err != nil {
		b.t.Fatal(err)
	}
	return s.HasLog
}

// rollbackLines rolls back and returns the steps that were announced.
func (b *bench) rollbackLines() (lines []string) {
	b.t.Helper()
	h := b.host("")
	r := &rollback{host: h, root: &b.cfg.Root}
	top, err := openTopLevel(r.root)
	if err != nil {
		b.t.Fatal(err)
	}
	defer unix.Close(top)
	facts, err := readFacts(top, r.root, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range Plan(facts).Steps {
		lines = append(lines, s.Text(r.root))
	}
	if err := r.rollBack(top, 0, func([]MemberFacts) error { return nil }); err != nil {
		b.t.Fatal(err)
	}
	return lines
}

func (b *bench) hash() string {
	f, err := os.Open(b.Device())
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		b.t.Fatal(err)
	}
	return string(h.Sum(nil))
}

func TestRollbackOfAMissingDevice(t *testing.T) {
	b := newBench(t, "", "subvolume @")
	b.cfg.Root.Device = "/dev/disk/by-label/nonexistent"
	h := b.host("")
	err := h.Rollback(b.cfg)
	if err == nil || Hint(err) == "" {
		t.Fatalf("got %v", err)
	}
	record, readErr := ReadRecord(h.RunDir, h.BootID)
	if readErr != nil || record.Rollback.State != StateFailed || record.Rollback.Reason != err.Error() {
		t.Errorf("record: %+v, %v", record, readErr)
	}
}

// A root that somebody has made read-only cannot be moved into the archive (EROFS). It
// stays as it is, and what is said helps.
func TestRollbackOfAReadOnlyRoot(t *testing.T) {
	b := newBench(t, "", "subvolume @", "file @/junk 0644 0:0 old", "subvolume @blank")
	root := b.Open("@")
	if err := btrfs.SetReadOnly(root, true); err != nil {
		t.Fatal(err)
	}
	err := b.host("").Rollback(b.cfg)
	if !errors.Is(err, unix.EROFS) || !strings.Contains(Hint(err), "btrfs property set PATH ro false") {
		t.Fatalf("got %v, hint %q", err, Hint(err))
	}
	b.wantFile("@/junk", "old")
	if err := btrfs.SetReadOnly(root, false); err != nil {
		t.Fatal(err)
	}
	if record := b.rollback(""); !record.Fresh {
		t.Errorf("record: %+v", record)
	}
	b.wantGone("@/junk")
}

// An archive that others can read is closed before an old root goes into it.
func TestOpenArchiveIsClosed(t *testing.T) {
	b := newBench(t, "", "subvolume @", "subvolume @blank", "dir @roots 0755 0:0")
	b.rollback("")
	st, err := os.Stat(b.Path("@roots"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the archive has mode %v, %v", st.Mode(), err)
	}
}
