package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/diskfs/go-diskfs"
	godisk "github.com/diskfs/go-diskfs/disk"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/partition/gpt"
)

const (
	sector = 512
	mib    = 1 << 20

	espStart = 1 * mib
	espSize  = 64 * mib
	// dataStart is the place of the data partition, a multiple of every erase block size in use.
	dataStart = espStart + espSize
	// tail is left for the second partition table at the end.
	tail = 1 * mib
)

// partition writes a disk with an EFI system partition and, behind it, the file system image, and a place for swap.
func partition(path, image string, spec Spec) error {
	st, err := os.Stat(image)
	if err != nil {
		return err
	}
	d, err := diskfs.Create(path, dataStart+st.Size()+spec.Swap+tail, diskfs.SectorSizeDefault)
	if err != nil {
		return err
	}
	err = d.Partition(table(spec, st.Size()))
	if err == nil {
		_, err = d.CreateFilesystem(godisk.FilesystemSpec{Partition: 1, FSType: filesystem.TypeFat32, VolumeLabel: "ESP"})
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	return insert(path, image, dataStart)
}

// table is the partition table of a disk whose data partition has that many bytes.
func table(spec Spec, size int64) *gpt.Table {
	t := &gpt.Table{
		LogicalSectorSize:  sector,
		PhysicalSectorSize: sector,
		ProtectiveMBR:      true,
		Partitions: []*gpt.Partition{
			{Index: 1, Start: espStart / sector, Size: espSize, Type: gpt.EFISystemPartition, Name: "ESP"},
			{Index: 2, Start: dataStart / sector, Size: uint64(size), Type: gpt.LinuxFilesystem, Name: spec.Label},
		},
	}
	if spec.Swap > 0 {
		start := uint64(dataStart+size) / sector
		t.Partitions = append(t.Partitions, &gpt.Partition{Index: 3, Start: start, Size: uint64(spec.Swap), Type: gpt.LinuxSwap, Name: "swap"})
	}
	return t
}

// insert copies a file into another one at an offset, and leaves out what is zero, as it is there already.
func insert(path, image string, offset int64) (err error) {
	from, err := os.Open(image)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	buf, zero := make([]byte, mib), make([]byte, mib)
	for {
		n, err := io.ReadFull(from, buf)
		if n > 0 && !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := to.WriteAt(buf[:n], offset); err != nil {
				return err
			}
		}
		offset += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", image, err)
		}
	}
}

// Copy makes a sparse copy of a raw image.
func Copy(from, path string) error {
	st, err := os.Stat(from)
	if err == nil {
		err = makeSparse(path, st.Size())
	}
	if err == nil {
		err = insert(path, from, 0)
	}
	if err != nil {
		return fmt.Errorf("copy the image %s: %w", from, err)
	}
	return nil
}

func makeSparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
