package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// variables are all that ebb asks the environment for, and where: none of them
// changes what is done. The Go runtime reads GOGC, GOMEMLIMIT, GOMAXPROCS,
// GODEBUG and GOTRACEBACK by itself, package time TZ.
var variables = []string{
	`cmd/ebb/output.go unix.Getenv("NO_COLOR")`,
	`cmd/ebb/output.go unix.Getenv("TERM")`,
	`internal/kmsg/kmsg.go unix.Getenv("JOURNAL_STREAM")`,
	`internal/service/notify.go unix.Getenv(socketVariable)`,
}

var asks = regexp.MustCompile(`(os|unix|syscall)\.(Getenv|LookupEnv|Environ|ExpandEnv|Clearenv|TempDir|UserHomeDir|UserCacheDir|UserConfigDir)\([^)]*\)`)

func TestEnvironment(t *testing.T) {
	var found []string
	for _, pattern := range []string{"cmd/ebb", "config", "btrfs", "archive", "initrd", "mounts", "roots", "stores", "diff", "keep", "doctor", "catalog", "internal/*"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := strings.TrimPrefix(file, "../../")
			if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "internal/testenv") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range asks.FindAllString(string(text), -1) {
				found = append(found, name+" "+match)
			}
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, variables) {
		t.Errorf("the environment is asked in\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(variables, "\n"))
	}
}
