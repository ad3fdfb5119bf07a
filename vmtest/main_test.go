package vmtest_test

import (
	"os"
	"testing"

	"github.com/ebb-nix/ebb/vmtest/testvm"
)

func TestMain(m *testing.M) { os.Exit(testvm.Main(m)) }
