package vmtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ebb-nix/ebb/vmtest/files"
	"github.com/ebb-nix/ebb/vmtest/internal/cache"
	"github.com/ebb-nix/ebb/vmtest/internal/initramfs"
)

// AccelEnv names the environment variable that chooses QEMU's accelerator: kvm, tcg, or auto (the default).
const AccelEnv = "VMTEST_ACCEL"

// CPUsEnv names the environment variable with the number of processors of each machine: 2 by default, and 1 where they
// are emulated.
const CPUsEnv = "VMTEST_CPUS"

// chooseCPUs reads the number of processors.
//
// Emulated ones run beside each other, and QEMU is not safe from that: once in some hundred boots a processor lost its
// timer, executed what another was just patching into the kernel ("Oops: int3"), or QEMU itself failed an assertion about
// its memory map. One is as fast on a host that has other work: what waits for another one, which the host has stopped,
// wastes its time.
func (k *Kit) chooseCPUs(context.Context) error {
	k.cpus = defaultCPUs
	if k.accel == accelTCG {
		k.cpus = 1
	}
	text := os.Getenv(CPUsEnv)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("%s=%s: not a number of processors", CPUsEnv, text)
	}
	k.cpus = n
	return nil
}

const (
	kvmDevice = "/dev/kvm"
	// probeTimeout is many times what KVM needs to boot a kernel to its first process.
	probeTimeout = 20 * time.Second
	// probeMark is what that process says: see the guest program.
	probeMark = "probe"
)

// chooseAccel takes KVM when a machine really boots with it. A /dev/kvm that can be opened is no proof: where the host
// is a virtual machine itself, the guest may hang in its first instructions.
func (k *Kit) chooseAccel(ctx context.Context) error {
	switch want := os.Getenv(AccelEnv); want {
	case accelKVM, accelTCG:
		k.accel = want
		return nil
	case "", "auto":
	default:
		return fmt.Errorf("%s=%s: want kvm, tcg or auto", AccelEnv, want)
	}
	k.accel = accelTCG
	if f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0); err != nil {
		return nil //nolint:nilerr // no KVM for this user: emulation it is
	} else if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", kvmDevice, err)
	}
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // what was true of the host before its reboot is not now
	if err != nil {
		return err
	}
	dir, err := k.cache.Build("accel", cache.Key(recipe, k.vmlinux, string(k.tools), string(bootID)), func(dir string) error {
		return k.probe(ctx, dir)
	})
	if err != nil {
		return err
	}
	accel, err := os.ReadFile(filepath.Join(dir, "accel"))
	k.accel = strings.TrimSpace(string(accel))
	return err
}

// probe boots a kernel with KVM to a first process, and writes which accelerator is to be used to the file "accel".
func (k *Kit) probe(ctx context.Context, dir string) error {
	k.report("trying whether a machine boots with KVM")
	initrd := filepath.Join(dir, "initrd.cpio")
	out, err := os.Create(initrd)
	if err != nil {
		return err
	}
	err = initramfs.Write(out, []files.File{files.Program("init", k.guestProgram), files.Dir("dev", 0o755)})
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	vm, err := start(k.tools, commandLine{
		accel: accelKVM, memoryMB: 256, cpus: k.cpus, kernel: k.vmlinux, initrd: initrd, cmdline: "console=ttyS0 panic=-1",
	}, dir)
	accel := accelTCG
	if err == nil {
		probing, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		if vm.state.wait(probing, Mark(probeMark)) == nil {
			accel = accelKVM
		}
		err = vm.kill()
	} else {
		err = nil // a QEMU that cannot even start with KVM is an answer too
	}
	k.report("machines run with %s", accel)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "accel"), []byte(accel+"\n"), 0o644))
}
