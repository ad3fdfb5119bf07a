// Command cuts tries power cuts: it records what the rollback and the entries
// write to a disk, makes the disk as it is after a cut at any of the writes,
// and boots from it.
//
//	cuts run [flags] SCENARIO...   tries the scenarios, prints one line of JSON for each
//	cuts boot FILE [flags]         tries a boot of another machine, which FILE describes
//	                               (the JSON of a powercut.BootRecording)
//	cuts fuzz [flags]              tries random scenarios, one after the other
//	cuts replay FILE               makes one state again that has failed
//	cuts list                      prints the scenarios
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/powercut"
)

// inNamespace is the first argument of the process that does the work: it is in
// a mount namespace of its own, which takes all its mounts along when it ends.
const inNamespace = "in-namespace"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cuts:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == powercut.ServeCommand:
		return powercut.Serve()
	case len(args) == 1 && args[0] == "list":
		for _, s := range powercut.Scenarios() {
			fmt.Println(s.Name)
		}
		return nil
	case len(args) > 1 && args[0] == inNamespace:
		unix.Umask(0o022)
		go endWithParent()
		switch args[1] {
		case "replay":
			return replay(args[2:])
		case "boot":
			return exploreBoot(args[2], args[3:])
		case "fuzz":
			return fuzz(args[2:])
		}
		return explore(args[2:])
	case len(args) > 0 && args[0] == "fuzz", len(args) > 1 && (args[0] == "run" || args[0] == "replay" || args[0] == "boot"):
		return enterNamespace(args)
	}
	return errors.New("usage: cuts run [flags] SCENARIO... | cuts boot FILE [flags] | cuts fuzz [flags] | cuts replay FILE | cuts list")
}

// enterNamespace runs the command in a child with a mount namespace of its own.
// Package os makes the mounts in it private.
func enterNamespace(args []string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(program, append([]string{inNamespace}, args...)...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	input, err := child.StdinPipe()
	if err != nil {
		return err
	}
	defer input.Close()
	return child.Run()
}

// endWithParent ends this process when the one that has started it is gone.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// parse reads the flags that say how much is tried.
func parse(args []string) (budget powercut.Budget, cases string, names []string, err error) {
	flags := flag.NewFlagSet("cuts", flag.ContinueOnError)
	flags.IntVar(&budget.States, "states", 200, "states of each scenario; 0: every write")
	flags.IntVar(&budget.Nested, "nested", 10, "states of each recovery that is cut, too; 0: every write")
	flags.IntVar(&budget.Subsets, "subsets", 3, "random subsets for every write, where that is every write")
	flags.IntVar(&budget.Checks, "checks", 200, "btrfs check looks at one state of so many; 0: at none")
	flags.IntVar(&budget.Failures, "failures", 3, "end after so many states that failed; 0: never")
	flags.Uint64Var(&budget.Seed, "seed", 1, "chooses the states")
	flags.StringVar(&cases, "cases", os.TempDir(), "where states that fail are kept")
	err = flags.Parse(args)
	return budget, cases, flags.Args(), err
}

func exploreBoot(file string, args []string) error {
	budget, cases, _, err := parse(args)
	if err != nil {
		return err
	}
	var boot powercut.BootRecording
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &boot)
	}
	if err != nil {
		return fmt.Errorf("read what describes the boot: %w", err)
	}
	return inDirectory(func(dir string) error {
		result, err := powercut.ExploreBoot(&boot, budget, dir, cases)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	})
}

func explore(args []string) error {
	budget, cases, names, err := parse(args)
	if err != nil {
		return err
	}
	for _, name := range names {
		scenario, err := powercut.FindScenario(name)
		if err != nil {
			return err
		}
		err = inDirectory(func(dir string) error {
			result, err := powercut.Explore(&scenario, budget, dir, cases)
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(result)
		})
		if err != nil {
			return err
		}
		runtime.GC() // gives the memory of the last disk back before the next
	}
	return nil
}

// fuzz tries random scenarios until the time is up or a state has failed. What is
// random is chosen by the seed, and said before each is tried.
func fuzz(args []string) error {
	flags := flag.NewFlagSet("cuts fuzz", flag.ContinueOnError)
	duration := flags.Duration("for", time.Hour, "how long")
	budget := powercut.Budget{Failures: 1}
	flags.IntVar(&budget.States, "states", 150, "states of each scenario")
	flags.IntVar(&budget.Nested, "nested", 4, "states of each recovery that is cut, too")
	flags.IntVar(&budget.Checks, "checks", 300, "btrfs check looks at one state of so many; 0: at none")
	seed := flags.Uint64("seed", uint64(time.Now().Unix())*1000, "number of the first scenario")
	cases := flags.String("cases", os.TempDir(), "where states that fail are kept")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var scenarios, distinct int
	for start := time.Now(); time.Since(start) < *duration; scenarios++ {
		scenario := powercut.RandomScenario(*seed + uint64(scenarios))
		fmt.Println(&scenario)
		budget.Seed = scenario.Seed
		err := inDirectory(func(dir string) error {
			result, err := powercut.Explore(&scenario, budget, dir, *cases)
			if err != nil {
				return err
			}
			distinct += result.Distinct
			for _, f := range result.Failures {
				return fmt.Errorf("state %s: %s\nreplay it: go run ./powercut/cuts replay %s", f.State, f.Reason, f.Case)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", scenario.Name, err)
		}
		runtime.GC() // gives the memory of the last disk back before the next
	}
	fmt.Printf("%d scenarios, %d different states, none failed\n", scenarios, distinct)
	return nil
}

func replay(args []string) error {
	return inDirectory(func(dir string) error {
		start := time.Now()
		c, reason, err := powercut.Replay(args[0], dir)
		if err != nil {
			return err
		}
		fmt.Printf("scenario %s, state %s, %.2f s\nthen: %s\nnow:  %v\n", c.Scenario, c.State, time.Since(start).Seconds(), c.Reason, reason)
		if reason != nil {
			return errors.New("the state is not as it must be")
		}
		return nil
	})
}

func inDirectory(do func(dir string) error) error {
	dir, err := os.MkdirTemp("", "powercut-")
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.Remove(dir))
}
