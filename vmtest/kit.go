package vmtest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/vmtest/internal/cache"
	"github.com/ebb-nix/ebb/vmtest/internal/debian"
	"github.com/ebb-nix/ebb/vmtest/internal/initramfs"
	"github.com/ebb-nix/ebb/vmtest/internal/system"
)

const (
	// toolSuite is the Debian release of the programs that run on the host, and of machines unless another is asked for:
	// QEMU 10; systemd 257, kernel 6.12.
	toolSuite = "trixie"
	// recipe is part of every cache key. It is to be raised when code that makes cached things changes its results.
	recipe = "4"
)

// keepUnused is for how long the cache keeps what no Kit has asked for: the builds of an older recipe, say.
const keepUnused = 5 * 24 * time.Hour

// CacheEnv names the environment variable with the directory for all that is downloaded and built.
const CacheEnv = "EBB_VMTEST_CACHE"

// SuiteEnv names the environment variable with the Debian release that machines are made of, and so with the version of
// their systemd and their kernel: "forky", say. The programs on the host stay those that the harness was tried with.
const SuiteEnv = "EBB_VM_SUITE"

// Options say how to prepare a Kit.
type Options struct {
	// Suite is the Debian release of systemd and the kernel in the machines. Empty means $EBB_VM_SUITE, or trixie.
	Suite string
	// Kernel is another kernel than that of the release. Empty means $EBB_VM_KERNEL, or none.
	Kernel string
	// CacheDir keeps what is downloaded and built, about 700 MB. Empty means $EBB_VMTEST_CACHE, or ebb-vmtest in
	// os.UserCacheDir.
	CacheDir string
	// Log gets a line for each step that takes long. Nil is silence.
	Log io.Writer
}

// Kit is what all machines are made of.
type Kit struct {
	cache *cache.Cache
	log   io.Writer
	start time.Time
	suite string
	// kernel is where the machines' kernel comes from, if it is not that of the release.
	kernel string

	tools, guest debian.Tree
	// vmlinux and guestProgram are files, boot is the directory with the initrd in its parts, system the one that goes to
	// /nix/store.
	vmlinux, guestProgram, boot, system string
	// closure is the path of the system in the machine.
	closure string
	accel   string
	cpus    int
}

// toolPackages run on the host.
func toolPackages() []string {
	return []string{
		"btrfs-progs", "cryptsetup-bin", "e2fsprogs", "qemu-system-x86", "qemu-utils", "seabios", "util-linux", "xfsprogs",
	}
}

// guestPackages run in the machine.
func guestPackages() []string {
	return []string{
		"acl", "attr", "base-files", "bash", "bsdutils", "btrfs-progs", "coreutils", "cryptsetup-bin", "dash", "dbus",
		"dmsetup", "e2fsprogs", "f2fs-tools", "findutils", "fish", "grep", "kmod", "libc-bin", "login", "lvm2", "mount",
		"passwd", "procps", "sed", "systemd", "systemd-cryptsetup", "systemd-sysv", "udev", "util-linux", "util-linux-extra",
		"xfsprogs",
	}
}

// Prepare returns a Kit. The first call on a machine downloads about 90 MB and takes about a minute; later ones only
// look that all is there.
func Prepare(ctx context.Context, o Options) (*Kit, error) {
	dir, err := cacheDir(o.CacheDir)
	if err != nil {
		return nil, err
	}
	c, err := cache.Open(dir)
	if err != nil {
		return nil, err
	}
	k := &Kit{cache: c, log: o.Log, start: time.Now(), suite: cmp.Or(o.Suite, os.Getenv(SuiteEnv), toolSuite)}
	k.kernel = cmp.Or(o.Kernel, os.Getenv(KernelEnv))
	for _, step := range []func(context.Context) error{
		k.fetchTools, k.fetchGuest, k.buildBoot, k.buildSystem, k.buildGuestProgram, k.chooseAccel, k.chooseCPUs,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("prepare test machines: %w", err)
		}
	}
	k.cleanCache()
	return k, nil
}

// cleanCache removes old builds. Those that cannot be removed are in nobody's way but that of the disk.
func (k *Kit) cleanCache() {
	removed, err := k.cache.Clean(keepUnused)
	for _, name := range removed {
		k.report("removed %s, unused for days, from the cache", name)
	}
	if err != nil {
		k.report("%v", err)
	}
}

func cacheDir(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv(CacheEnv)
	}
	if dir != "" {
		return dir, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the cache, set %s: %w", CacheEnv, err)
	}
	return filepath.Join(user, "ebb-vmtest"), nil
}

func (k *Kit) report(format string, args ...any) {
	if k.log != nil {
		// Progress that cannot be shown is no reason to stop.
		_, _ = fmt.Fprintf(k.log, "%5.1fs  %s\n", time.Since(k.start).Seconds(), fmt.Sprintf(format, args...))
	}
}

func (k *Kit) fetchTools(ctx context.Context) error {
	// What xfs_scrub(8) is made of, which needs nobody here.
	keep := without("python3", "libpython3", "libicu", "media-types")
	key := cache.Key(recipe, toolSuite, strings.Join(toolPackages(), " "))
	tree, err := k.cache.Build("tools", key, func(dir string) error {
		return k.unpack(ctx, dir, toolSuite, toolPackages(), keep)
	})
	k.tools = debian.Tree(tree)
	return err
}

func (k *Kit) fetchGuest(ctx context.Context) error {
	// A Debian kernel depends on Debian's initrd generator, which has no use here, and xfs_scrub(8) as above.
	keep := without("initramfs-tools", "dracut", "klibc", "libklibc", "cpio", "python3", "libpython3", "libicu", "media-types")
	kernel, err := k.findKernel()
	if err != nil {
		return err
	}
	packages := guestPackages()
	if kernel == nil {
		packages = append(packages, suiteKernel)
	}
	key := cache.Key(recipe, k.suite, strings.Join(packages, " "), kernel.key())
	tree, err := k.cache.Build("guest", key, func(dir string) error {
		if err := k.unpack(ctx, dir, k.suite, packages, keep); err != nil {
			return err
		}
		if err := k.unpackKernel(ctx, dir, kernel); err != nil {
			return err
		}
		tree := debian.Tree(dir)
		version, err := tree.KernelVersion()
		if err != nil {
			return err
		}
		return tree.Depmod(ctx, dir, version)
	})
	k.guest = debian.Tree(tree)
	return err
}

// without refuses packages by the beginnings of their names.
func without(prefixes ...string) func(debian.Package) bool {
	return func(p debian.Package) bool {
		return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p.Name(), prefix) })
	}
}

// unpack puts packages of a release, and what they depend on less those that keep refuses, into dir.
func (k *Kit) unpack(ctx context.Context, dir, suite string, packages []string, keep func(debian.Package) bool) error {
	return k.withArchive(ctx, suite, func(archive *debian.Archive) error {
		all, err := archive.Resolve(ctx, packages...)
		if err != nil {
			return err
		}
		return archive.Unpack(ctx, dir, slices.DeleteFunc(all, func(p debian.Package) bool { return !keep(p) }))
	})
}

// withArchive does something with a release. Two trees of one share apt's directory, so that they are fetched one after
// the other.
func (k *Kit) withArchive(ctx context.Context, suite string, do func(*debian.Archive) error) error {
	apt := "apt-" + suite
	return k.cache.Locked(apt, func() error {
		archive, err := debian.Open(ctx, filepath.Join(k.cache.Root(), apt), suite, k.report)
		if err != nil {
			return err
		}
		return do(archive)
	})
}

// buildBoot makes the kernel and the initrd that machines share.
func (k *Kit) buildBoot(ctx context.Context) error {
	key := cache.Key(recipe, string(k.guest), fmt.Sprint(initramfs.Fingerprint()))
	dir, err := k.cache.Build("boot", key, func(dir string) error {
		k.report("assembling the kernel and the initrd")
		return initramfs.Build(ctx, k.guest, dir)
	})
	k.vmlinux = filepath.Join(dir, initramfs.KernelFile)
	k.boot = dir
	return err
}

func (k *Kit) buildSystem(context.Context) error {
	// Its kernel modules come from what the boot was made of.
	fingerprint := cache.Key(recipe, string(k.guest), filepath.Base(k.boot), fmt.Sprint(system.Fingerprint()))
	dir, err := k.cache.Build("system", fingerprint, func(dir string) error {
		k.report("assembling the running system")
		return system.Build(k.guest, filepath.Join(k.boot, initramfs.SystemModulesDir), dir)
	})
	k.system = dir
	k.closure = "/nix/store/" + fingerprint + fingerprint + "-nixos-system-vmtest-25.11"
	return err
}

// buildGuestProgram compiles the program that runs in the machine.
func (k *Kit) buildGuestProgram(ctx context.Context) error {
	source, err := Compile(ctx, "github.com/ebb-nix/ebb/vmtest/guest", k.cache.Root())
	k.guestProgram = source
	return err
}

// Compile builds a Go program of this module as one static file, for the machine to run, and returns its path below
// dir. It has the name of the package with a key of its contents, so that builds that run side by side do no harm.
func Compile(ctx context.Context, pkg, dir string, flags ...string) (string, error) {
	tmp, err := os.CreateTemp(dir, ".compiling-")
	if err != nil {
		return "", fmt.Errorf("compile %s: %w", pkg, err)
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	if err := tmp.Close(); err != nil {
		return "", fmt.Errorf("compile %s: %w", pkg, err)
	}
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", tmp.Name()}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s: %w: %s", pkg, err, out)
	}
	data, err := os.ReadFile(tmp.Name())
	if err != nil {
		return "", fmt.Errorf("compile %s: %w", pkg, err)
	}
	final := filepath.Join(dir, filepath.Base(pkg)+"-"+cache.Key(string(data)))
	if err := os.Rename(tmp.Name(), final); err != nil {
		return "", fmt.Errorf("compile %s: %w", pkg, err)
	}
	return final, nil
}
