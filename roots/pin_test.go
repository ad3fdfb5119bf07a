package roots

import (
	"errors"
	"strings"
	"testing"
)

func TestPin(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	top := d.Open(".")
	var gone *NotThereError
	if err := SetPin(top, "@roots", 2, ""); !errors.As(err, &gone) {
		t.Errorf("pin what is not there: %v", err)
	}
	for _, step := range []struct {
		work func() error
		want string
	}{
		{func() error { return SetPin(top, "@roots", 1, " before the upgrade\n") }, "before the upgrade"},
		{func() error { return SetPin(top, "@roots", 1, "second thoughts") }, "second thoughts"},
		{func() error { return RemovePin(top, "@roots", 1) }, "-"},
		{func() error { return RemovePin(top, "@roots", 1) }, "-"},
	} {
		if err := step.work(); err != nil {
			t.Fatal(err)
		}
		list, err := List(top, "@roots")
		if err != nil || len(list) != 1 || list[0].Damage != "" {
			t.Fatalf("%+v, %v", list, err)
		}
		got := "-"
		if list[0].Pin != nil {
			got = list[0].Pin.Why
		}
		if got != step.want {
			t.Errorf("pinned %q, want %q", got, step.want)
		}
	}
}

// A pin that is set while a prune runs keeps the root, which was judged before.
func TestPinDuringPrune(t *testing.T) {
	d := newDisk(t)
	d.archive(1)
	d.archive(2)
	top := d.Open(".")
	remover := &Remover{Members: []string{"root"}, Announce: func(string, ...any) {}}
	if err := remover.Open(top, "@roots"); err != nil {
		t.Fatal(err)
	}
	defer remover.Close()
	if err := SetPin(top, "@roots", 1, "wanted"); err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := remover.Trash(1, false); !errors.As(err, &refused) || !strings.Contains(err.Error(), "pinned (wanted)") {
		t.Errorf("%v", err)
	}
	if err := remover.Trash(2, false); err != nil {
		t.Error(err)
	}
}
