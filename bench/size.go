package main

import (
	"fmt"
	"os"
	"os/exec"
)

// The limits of the binary, in bytes.
const (
	sizeLimit       = 3_000_000
	compressedLimit = 1_200_000
)

// measureSize weighs the binary, as it is and as it goes into an initrd.
func (b *bench) measureSize(r *report) error {
	info, err := os.Stat(b.tools.ebb)
	if err != nil {
		return err
	}
	compressed, err := exec.Command(findTool("zstd"), "-19", "--stdout", "--quiet", b.tools.ebb).Output()
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	r.judge("binary, stripped", int64Limit(sizeLimit), bytesText(info.Size()), info.Size() <= sizeLimit)
	size := int64(len(compressed))
	r.judge("binary, zstd -19", int64Limit(compressedLimit), bytesText(size), size <= compressedLimit)
	return nil
}

func int64Limit(n int64) string { return "at most " + bytesText(n) }

// bytesText gives bytes in the units that sizes of files are told in.
func bytesText(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
