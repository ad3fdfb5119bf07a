package faults

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	attackRow  = regexp.MustCompile(`(?m)^\| (\d+) \|.*$`)
	attackTest = regexp.MustCompile("`([a-z/]+): ((?:Test|Fuzz)[A-Za-z0-9]+)`")
)

// TestAttacksTable: docs/attacks.md has each case once, and names tests that
// there are, or says why there is none.
func TestAttacksTable(t *testing.T) {
	text, err := os.ReadFile("../docs/attacks.md")
	require(t, err)
	tests := 0
	rows := attackRow.FindAllStringSubmatch(string(text), -1)
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d is of case %s", i+1, row[1])
		}
		named := attackTest.FindAllStringSubmatch(row[0], -1)
		if len(named) == 0 && !strings.Contains(row[0], "not applicable: ") && !strings.Contains(row[0], "not yet: ") && !strings.Contains(row[0], "as 19: ") {
			t.Errorf("case %s has no test", row[1])
		}
		for _, name := range named {
			tests++
			if !isTest(t, name[1], name[2]) {
				t.Errorf("case %s: there is no %s in %s", row[1], name[2], name[1])
			}
		}
	}
	if len(rows) != 72 {
		t.Errorf("%d cases", len(rows))
	}
	t.Logf("%d tests of %d cases", tests, len(rows))
}

func isTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	require(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require(t, err)
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
