package initramfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
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
	vmlinux, err := decompress(payload)
	if err != nil {
		return nil, fmt.Errorf("extract vmlinux: %w", err)
	}
	if !bytes.HasPrefix(vmlinux, []byte("\x7fELF")) {
		return nil, errors.New("extract vmlinux: the payload is not an ELF file")
	}
	return vmlinux, nil
}

// decompress unpacks a payload: zstd, or LZ4 as Debian's 6.1 is. The build appends the uncompressed size in four
// bytes, which are no part of what is compressed.
func decompress(payload []byte) ([]byte, error) {
	if len(payload) < 8 {
		return nil, errors.New("there is no payload")
	}
	compressed := bytes.NewReader(payload[:len(payload)-4])
	switch {
	case bytes.HasPrefix(payload, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		dec, err := zstd.NewReader(compressed, zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, err
		}
		defer dec.Close()
		return io.ReadAll(dec)
	case bytes.HasPrefix(payload, []byte{0x02, 0x21, 0x4c, 0x18}):
		return io.ReadAll(lz4.NewReader(compressed))
	}
	return nil, errors.New("the payload is compressed by neither zstd nor LZ4")
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
