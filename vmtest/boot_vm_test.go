package vmtest

import (
	"context"
	"os"
	"testing"
	"time"
)

func TestTwoBoots(t *testing.T) {
	if os.Getenv("EBB_VM") != "1" {
		t.Skip("EBB_VM=1 is not set")
	}
	ctx := context.Background()
	kit, err := Prepare(ctx, Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	disk, err := kit.Disk(ctx, DiskLayout{
		Label: "nixos", Subvolumes: []string{"@", "@nix", "@persist"}, ReadOnly: []string{"@blank"}, Store: "@nix",
	})
	if err != nil {
		t.Fatal(err)
	}
	os.RemoveAll("/tmp/vmtry")
	os.Mkdir("/tmp/vmtry", 0o755)
	m, err := kit.NewMachine("/tmp/vmtry", Config{Disks: []string{disk}, Fstab: []Mount{
		Subvolume("nixos", "@", "/"), Subvolume("nixos", "@nix", "/nix"), Subvolume("nixos", "@persist", "/persist"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		start := time.Now()
		if i == 0 {
			err = m.Boot(ctx)
		} else {
			err = m.Reboot(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Wait(ctx, InitrdUp(), BootTimeout); err != nil {
			t.Fatal(err)
		}
		t.Log("initrd up", time.Since(start))
		if err := m.Wait(ctx, SystemUp(), BootTimeout); err != nil {
			t.Fatal(err)
		}
		t.Log("system up", time.Since(start))
		for _, c := range [][]string{
			{"systemctl", "is-system-running", "--wait"},
			{"systemctl", "--failed"},
			{"findmnt"},
			{"sh", "-c", "ls -la / /persist; cat /etc/machine-id; cat /persist/x; date >> /persist/x"},
			{"journalctl", "-b", "-p", "warning"},
			{"journalctl", "-b", "--no-hostname", "-o", "short-monotonic"},
			{"systemd-analyze"},
		} {
			r, err := m.Run(ctx, c...)
			t.Log(time.Since(start), c, err, r.Status, r.Stdout, r.Stderr)
		}
	}
	t.Log(m.PowerOff(ctx))
}
