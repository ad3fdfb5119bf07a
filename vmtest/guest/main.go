// Command guest is the harness's program inside of a test machine. It is one static file, and does there what NixOS
// has scripts for, next to the agent that runs commands for the host:
//
//	guest serve STAGE     run commands that come over the virtio port
//	guest find-closure    what initrd-find-nixos-closure.service does
//	guest activate        what initrd-nixos-activation.service does
//	guest mark NAME       write a line on the console that the host waits for
//	guest gate NAME FILE  do that, and wait until the host types a line, which goes to FILE
//	guest save FILE TO... make copies of FILE durable, mark that they are safe, and stay
//
// As /init, without arguments, it says that a machine has got this far, and ends it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ebb-nix/ebb/vmtest/internal/wire"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "<3>vmtest: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 0 && os.Getpid() == 1:
		return probe()
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 1 && args[0] == "find-closure":
		return findClosure("/proc/cmdline", "/nixos-closure", "/etc/switch-root.conf")
	case len(args) == 1 && args[0] == "activate":
		return activate("/sysroot", "/nixos-closure", "/vmtest/system")
	case len(args) == 2 && args[0] == "mark":
		return mark(args[1])
	case len(args) == 3 && args[0] == "gate":
		return gate(args[1], args[2], "/dev/ttyS0", "/proc/sys/vm/drop_caches")
	case len(args) > 2 && args[0] == "save":
		return save(args[1], args[2:])
	}
	return fmt.Errorf("unknown arguments %q", args)
}

// mark writes to the kernel log at a level that reaches the console whatever "quiet" and loglevel= say.
func mark(name string) error {
	return os.WriteFile("/dev/kmsg", []byte("<2>"+wire.MarkPrefix+name+"\n"), 0)
}

// gate holds a boot up. The machine may be saved here and go on with another disk: what the kernel remembers of the one
// that it had seen is dropped.
func gate(name, file, console, dropCaches string) error {
	tty, err := os.OpenFile(console, os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer tty.Close()
	if err := mark(name); err != nil {
		return err
	}
	line, err := bufio.NewReader(tty).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read %s: %w", console, err)
	}
	if err := os.WriteFile(dropCaches, []byte("1\n"), 0); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(line), 0o644)
}

// probe is the whole of a machine that is only there to see whether it starts.
func probe() error {
	// The kernel has opened the console for its first process.
	if _, err := fmt.Println(wire.MarkPrefix + "probe"); err != nil {
		return err
	}
	return syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

// save writes what is in a file into several places, has it made durable, and says so: "safe-" and the text. It stays
// until somebody ends it.
func save(from string, places []string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	token := strings.TrimSpace(string(text))
	for _, place := range places {
		// A place that is a directory gets a file with the name of the text.
		if st, err := os.Stat(place); err == nil && st.IsDir() {
			place = filepath.Join(place, token)
		}
		f, err := os.Create(place)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	if err := mark("safe-" + token); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	return nil
}
