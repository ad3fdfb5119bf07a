package initrd

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebb-nix/ebb/internal/cmdline"
	"github.com/ebb-nix/ebb/internal/format"
	"github.com/ebb-nix/ebb/internal/sys"
)

// A hibernated machine's memory holds the old root mounted and dirty. A
// rollback beneath it, and then a resume, is the same file system mounted
// twice: it is destroyed. So a pending image is a reason to touch nothing.

// swapSignatureLength is the length of the mark at the end of a swap area's
// first page: SWAPSPACE2, or S1SUSPEND while it holds an image (struct
// swsusp_header in kernel/power/swap.c).
const swapSignatureLength = 10

const hibernationSignature = "S1SUSPEND\x00"

// hibernateLocation is where systemd notes what to resume from
// (systemd-hibernate-resume-generator(8)).
const hibernateLocation = "HibernateLocation-8cf2644b-4b0b-428f-9387-6d876050dc67"

// resumeSources is where traces of a hibernated machine are looked for; the
// fields are there so that tests can have their own.
type resumeSources struct {
	efivars  string // /sys/firmware/efi/efivars
	sysPower string // /sys/power
	dev      string // /dev
}

func systemResumeSources() resumeSources {
	return resumeSources{efivars: "/sys/firmware/efi/efivars", sysPower: "/sys/power", dev: "/dev"}
}

// guardHibernation refuses while a hibernation image is pending. It only
// reads. With "noresume" on the kernel command line the kernel will not resume
// whatever is there, so a stale signature does not keep the root for ever.
func guardHibernation(p cmdline.Parameters, from resumeSources) error {
	if _, set := p.Get(parameterNoResume); set {
		return nil
	}
	location := path.Join(from.efivars, hibernateLocation)
	switch err := sys.Exists(location); {
	case err == nil:
		return pendingImage("the EFI variable HibernateLocation")
	case !errors.Is(err, fs.ErrNotExist):
		return unknownImage(location, err)
	}
	candidates, err := resumeDevices(p, from)
	if err != nil {
		return err
	}
	for _, candidate := range candidates {
		pending, err := hasHibernationImage(candidate.path, candidate.pageOffset)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) {
			continue // the kernel could not resume from it either
		}
		if err != nil {
			return unknownImage(candidate.path, err)
		}
		if pending {
			return pendingImage(candidate.path)
		}
	}
	return nil
}

func pendingImage(where string) error {
	return &refusal{
		reason: "a hibernation image is pending on " + where,
		hint:   "resume it; if it is stale, boot once with \"noresume\"",
	}
}

func unknownImage(where string, err error) error {
	return &refusal{
		reason: format.Sprintf("cannot tell whether %s holds a hibernation image: %v", where, err),
		hint:   "boot with \"noresume\" to give up an image that may be there",
	}
}

// resumeDevice is a place that the kernel may resume from.
type resumeDevice struct {
	path       string
	pageOffset int64 // of the swap header: that of a swap file, 0 for a partition
}

func resumeDevices(p cmdline.Parameters, from resumeSources) (list []resumeDevice, err error) {
	if value, ok := p.Get(parameterResume); ok && value != "" {
		offset, _ := p.Get(parameterOffset)
		list = append(list, resumeDevice{devicePath(value, from.dev), decimal(offset)})
	}
	// "major:minor", 0:0 when none is set (Documentation/ABI/testing/sysfs-power).
	number, err := firstLine(path.Join(from.sysPower, "resume"))
	if err != nil {
		return nil, unknownImage(from.sysPower, err)
	}
	if number != "" && number != "0:0" {
		offset, err := firstLine(path.Join(from.sysPower, "resume_offset"))
		if err != nil {
			return nil, unknownImage(from.sysPower, err)
		}
		list = append(list, resumeDevice{path.Join(from.dev, "block", number), decimal(offset)})
	}
	return list, nil
}

// devicePath turns resume= into a path: a path stays, LABEL= and the like
// become the links that udev makes.
func devicePath(value, dev string) string {
	for prefix, directory := range map[string]string{
		"UUID=": "by-uuid", "LABEL=": "by-label", "PARTUUID=": "by-partuuid", "PARTLABEL=": "by-partlabel",
	} {
		if name, ok := strings.CutPrefix(value, prefix); ok {
			return path.Join(dev, "disk", directory, path.Base(name))
		}
	}
	return value
}

func hasHibernationImage(path string, pageOffset int64) (bool, error) {
	f, err := sys.OpenPath(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return false, err
	}
	defer f.Close()
	page := int64(unix.Getpagesize())
	mark := make([]byte, swapSignatureLength)
	_, err = f.ReadAt(mark, (pageOffset+1)*page-swapSignatureLength)
	switch {
	case errors.Is(err, io.EOF):
		return false, nil // shorter than a swap header
	case err != nil:
		return false, format.Errorf("read %s: %w", path, err)
	}
	return string(mark) == hibernationSignature, nil
}

// firstLine reads a line of /sys, "" when there is no such file.
func firstLine(path string) (string, error) {
	data, err := sys.ReadPath(path, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line), nil
}

func decimal(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 48)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
