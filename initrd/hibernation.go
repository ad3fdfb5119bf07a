package initrd

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

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

// hibernationSignature is the mark of an image, whatever the byte behind it is.
const hibernationSignature = "S1SUSPEND"

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

// imageTrace is a place that may hold a hibernated machine.
type imageTrace struct {
	where  string
	giveUp string // what makes resuming from there impossible
	err    error  // why it cannot be told; nil: the image is there
}

// absent reports whether the place is not there at all.
func (t *imageTrace) absent() bool {
	return errors.Is(t.err, fs.ErrNotExist) || errors.Is(t.err, unix.ENXIO)
}

// refusal says what was found and what to do about it, which turns on whether
// the root is mounted, or will be right after this: until then the machine can
// be resumed, from then on that would destroy the file system.
func (t *imageTrace) refusal(mounted bool) error {
	r := &refusal{
		reason: "a hibernation image is pending on " + t.where,
		hint:   "nothing was mounted: reboot with resume= to resume the machine, or with \"noresume\" to give the image up; once the root is mounted, never resume",
	}
	if mounted {
		r.hint = "the root is in use from now on, so never resume from it, that would destroy the file system: " + t.giveUp + " gives the image up, and the next boot makes a fresh root"
	}
	if t.err != nil {
		r.reason = "cannot tell whether " + t.where + " holds a hibernation image: " + t.err.Error()
		r.hint += "; if nothing was hibernated there, mend resume= on the kernel command line, or boot with \"noresume\""
	}
	return r
}

// guardHibernation finds what a rollback must not go on beneath: an image that
// is pending, or a place that may hold one. With "noresume" on the kernel
// command line the kernel will not resume whatever is there, so a stale
// signature does not keep the root for ever.
func guardHibernation(p cmdline.Parameters, from resumeSources) *imageTrace {
	if _, set := p.Get(parameterNoResume); set {
		return nil
	}
	return findImage(p, from)
}

// findImage looks for a hibernation image wherever a boot would resume from.
// It only reads. An image that is there comes before a place that cannot be
// looked at: the device of a resume= may be encrypted and not open yet.
func findImage(p cmdline.Parameters, from resumeSources) (unknown *imageTrace) {
	location := path.Join(from.efivars, hibernateLocation)
	if err := sys.Exists(location); !errors.Is(err, fs.ErrNotExist) {
		// An EFI variable that systemd does not remove by itself, as
		// systemd-hibernate-clear.service does from version 256 on, is immutable
		// (Documentation/filesystems/efivarfs.rst).
		return &imageTrace{
			where: "the EFI variable HibernateLocation", err: err,
			giveUp: "chattr -i " + location + " && rm " + location,
		}
	}
	candidates, err := resumeDevices(p, from)
	if err != nil {
		unknown = &imageTrace{where: from.sysPower, giveUp: "swapon", err: err}
	}
	for _, candidate := range candidates {
		pending, err := hasHibernationImage(candidate.path, candidate.pageOffset)
		if err == nil && pending {
			return candidate.trace(nil)
		}
		if err != nil && unknown == nil {
			unknown = candidate.trace(err)
		}
	}
	return unknown
}

// trace tells of a device. swapon(8) writes the signature of ordinary swap over
// that of an image, and changes neither label nor uuid.
func (d *resumeDevice) trace(err error) *imageTrace {
	if d.pageOffset != 0 {
		return &imageTrace{d.path + ", resume_offset=" + format.Sprint(d.pageOffset), "swapon of its swap file", err}
	}
	return &imageTrace{d.path, "swapon " + d.path, err}
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
	if err == nil && number != "" && number != "0:0" {
		var offset string
		offset, err = firstLine(path.Join(from.sysPower, "resume_offset"))
		list = append(list, resumeDevice{path.Join(from.dev, "block", number), decimal(offset)})
	}
	return list, err
}

// devicePath turns resume= into a path: a path stays, LABEL= and the like
// become the links that udev makes, and so does what else there is, the
// kernel's own major:minor.
func devicePath(value, dev string) string {
	switch tag, name, _ := strings.Cut(value, "="); tag {
	case "UUID", "LABEL", "PARTUUID", "PARTLABEL":
		return path.Join(dev, "disk/by-"+strings.ToLower(tag), udevName(name))
	}
	if strings.HasPrefix(value, "/") {
		return value
	}
	return path.Join(dev, "block", udevName(value))
}

// udevName is the name of a link that udev makes: whatever could be taken for
// something else is \xNN in it (encode_devnode_name in systemd).
func udevName(name string) (link string) {
	const plain = "#+-.0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	for i := range len(name) {
		c := name[i : i+1]
		if name[i] < utf8.RuneSelf && !strings.Contains(plain, c) {
			c = format.Sprintf(`\x%02x`, name[i])
		}
		link += c
	}
	return link
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
	return strings.HasPrefix(string(mark), hibernationSignature), nil
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
