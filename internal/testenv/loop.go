package testenv

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const loopControl = "/dev/loop-control"

// loopAttempts bounds the retries against other tests that take loop devices
// at the same time.
const loopAttempts = 200

// attachLoop attaches a loop device to the image file and returns it open.
// With autoclear it is detached when its last user, this descriptor or a
// mount, is gone. Linux 5.8 (LOOP_CONFIGURE).
func attachLoop(image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for attempt := range loopAttempts {
		var device *os.File
		if device, err = tryLoop(control, file); err == nil {
			return device, nil
		}
		if !lostRace(err) {
			break
		}
		time.Sleep(time.Duration(attempt) * 100 * time.Microsecond)
	}
	return nil, fmt.Errorf("attach loop device to %s: %w", image, err)
}

// lostRace reports whether somebody else took (EBUSY) or removed the device
// between LOOP_CTL_GET_FREE and LOOP_CONFIGURE, or its node is still to come.
func lostRace(err error) bool {
	return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENXIO) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT)
}

func tryLoop(control, image *os.File) (*os.File, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("LOOP_CTL_GET_FREE: %w", err)
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(image.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("LOOP_CONFIGURE %s: %w", device.Name(), err), device.Close())
	}
	return device, nil
}
