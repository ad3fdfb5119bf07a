package initramfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Offsets of fields in the setup header of a bzImage, by Documentation/arch/x86/boot.rst of the kernel.
const (
	setupSectsOffset    = 0x1f1
	headerMagicOffset   = 0x202
	payloadOffsetOffset = 0x248
	payloadLengthOffset = 0x24c
	headerEnd           = 0x250

	sectorSize = 512
)

// ExtractVmlinux returns the uncompressed kernel that a bzImage carries. Booted through its PVH entry point, it saves
// the guest the decompression, which an emulated processor takes most of a second for.
func ExtractVmlinux(bzImage []byte) ([]byte, error) {
	payload, err := kernelPayload(bzImage)
	if err != nil {
		return nil, fmt.Errorf("extract vmlinux: %w", err)
	}
	// The build appends the uncompressed size in four bytes, which are no part of the zstd frame.
	if !bytes.HasPrefix(payload, []byte{0x28, 0xb5, 0x2f, 0xfd}) || len(payload) < 8 {
		return nil, errors.New("extract vmlinux: the payload is not compressed by zstd")
	}
	dec, err := zstd.NewReader(bytes.NewReader(payload[:len(payload)-4]), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return nil, fmt.Errorf("extract vmlinux: %w", err)
	}
	defer dec.Close()
	var vmlinux bytes.Buffer
	if _, err := vmlinux.ReadFrom(dec); err != nil {
		return nil, fmt.Errorf("extract vmlinux: %w", err)
	}
	if !bytes.HasPrefix(vmlinux.Bytes(), []byte("\x7fELF")) {
		return nil, errors.New("extract vmlinux: the payload is not an ELF file")
	}
	return vmlinux.Bytes(), nil
}

func kernelPayload(image []byte) ([]byte, error) {
	if len(image) < headerEnd || string(image[headerMagicOffset:headerMagicOffset+4]) != "HdrS" {
		return nil, errors.New("not a bzImage")
	}
	setupSects := uint64(image[setupSectsOffset])
	if setupSects == 0 {
		setupSects = 4 // boot.rst: "For backwards compatibility, if the setup_sects field contains 0, the real value is 4"
	}
	start := (setupSects+1)*sectorSize + uint64(binary.LittleEndian.Uint32(image[payloadOffsetOffset:]))
	length := uint64(binary.LittleEndian.Uint32(image[payloadLengthOffset:]))
	if start+length > uint64(len(image)) {
		return nil, fmt.Errorf("the payload (%d bytes at %d) lies outside of the image (%d bytes)", length, start, len(image))
	}
	return image[start : start+length], nil
}
