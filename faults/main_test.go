package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ebb-nix/ebb/internal/testenv"
)

// binaryVariable names the directory that the binary is built into, for the
// tests, which run in a copy of this process.
const binaryVariable = "EBB_FAULTS_BINARY"

func TestMain(m *testing.M) {
	if os.Getenv(binaryVariable) != "" {
		os.Exit(testenv.RunInNamespaces(m))
	}
	os.Exit(withDirectory(m))
}

func withDirectory(m *testing.M) int {
	if _, err := readSeed(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "ebb-faults-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Setenv(binaryVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return testenv.RunInNamespaces(m)
}

// build builds ebb once, as "make build" does.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(binaryVariable), "ebb")
	command := exec.Command("../scripts/build", path)
	output, err := command.CombinedOutput()
	if err != nil {
		err = errors.Join(err, errors.New(string(output)))
	}
	return path, err
})

// isLong reports whether everything is to be tried. The tests say what they
// leave out otherwise.
func isLong() bool { return testenv.Long() }

// seedVariable holds a number that says which of the faults are tried in short.
const seedVariable = "EBB_SEED"

// seeds is how many there are before all comes again: errors, calls, boots that
// are tried and owners come by turns of 8, 8, 4 and 3.
const seeds = 96

// seed is the number of the day, unless the environment has another: each day
// tries other faults, and a run can be made again by what it has printed.
func seed() int {
	number, _ := readSeed() // TestMain has seen that it is one
	return number
}

var readSeed = sync.OnceValues(func() (int, error) {
	text := os.Getenv(seedVariable)
	if text == "" {
		return int(time.Now().Unix() / (24 * 60 * 60) % seeds), nil
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		err = fmt.Errorf("%s: %w", seedVariable, err)
	}
	return int(number % seeds), err
})
