package system

import "testing"

func TestWantedUnit(t *testing.T) {
	for rel, want := range map[string]bool{
		"multi-user.target":                                   true,
		"systemd-machine-id-commit.service":                   true,
		"run-lock.mount":                                      false, // Debian's own
		"getty-static.service":                                false,
		"sysinit.target.wants":                                true,
		"sysinit.target.wants/ldconfig.service":               false,
		"sysinit.target.wants/systemd-tmpfiles-setup.service": true,
		"initrd.target.wants":                                 false,
		"sockets.target.wants/dbus.socket":                    true,
		"multi-user.target.wants/dbus.service":                false,
		"systemd-udevd.service.d":                             false,
		"systemd-udevd.service.d/architectures.conf":          false,
	} {
		if got := wantedUnit(unitDir + "/" + rel); got != want {
			t.Errorf("%s: %v", rel, got)
		}
	}
}
