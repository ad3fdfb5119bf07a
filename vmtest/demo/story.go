package main

import "context"

// story is what is told, and in which order.
func (t *teller) story() []chapter {
	return append(t.boots(), t.findings()...)
}

// boots are the chapters in which something happens.
func (t *teller) boots() []chapter {
	return []chapter{
		{
			title: "The machine",
			text: "It has one disk with one btrfs file system. In it are subvolumes: @ is the root, @nix has the " +
				"operating system, @persist is for what shall stay, and @blank is an empty root that new ones are made " +
				"from. What shall stay is listed in /etc/ebb/config.json:",
			do: t.showConfig,
		},
		{
			title: "Boot 1",
			text:  "ebb runs in the initrd, before the root is mounted, and before any service.",
			do:    t.firstBoot,
			claims: []*claim{
				{text: "boot 1: the system runs, no unit has failed", look: t.isRunning},
				{text: "boot 1: systemd sees a first boot, for nothing was kept yet", look: t.isFirstBoot},
			},
		},
		{
			title: "What is written in boot 1",
			text:  "Some files that nobody has asked to keep, and some in places that the config names:",
			do:    t.write,
			claims: []*claim{
				{text: "boot 1: all files are there", look: t.allThere},
			},
		},
		{
			title: "The reboot",
			text:  "An orderly shutdown, and the second boot:",
			do:    t.secondBoot,
			claims: []*claim{
				{text: "it is another boot", look: t.isOtherBoot},
				{text: "the rollback did what ebb plan had said", look: t.isAsPlanned},
				{text: "boot 2: the system runs, no unit has failed", look: t.isRunning},
				{text: "boot 1 ended without a failed unmount", look: t.endedWell},
			},
		},
	}
}

// findings are the chapters that look at what has become of the machine.
func (t *teller) findings() []chapter {
	return []chapter{
		{title: "What is gone", text: "Everything that is not listed. The root is another one.", claims: t.goneClaims()},
		{
			title: "What is kept", text: "What is listed, with its contents, owners and modes.", claims: t.keptClaims(),
		},
		{
			title: "What the user sees",
			text:  "A table to take in at a glance; its exit status is for scripts.",
			do:    t.show("ebb", "status"),
			claims: []*claim{
				{text: "ebb status says that all is well", look: t.succeeds("ebb", "status")},
				{text: "/ is the subvolume that the boot record names", look: t.isRecorded},
			},
		},
		{
			title:  "Where the old root is",
			text:   "The rollback deletes nothing. The old roots are in an archive on the same file system:",
			do:     t.showArchive,
			claims: t.archiveClaims(),
		},
		{
			title: "How long it took",
			text:  "ebb's two units in the boot just seen, on an emulated processor if the machine has no other:",
			do:    t.showTimes,
			claims: []*claim{
				{text: "both units have done all that they should", look: t.allDone},
			},
		},
	}
}

func (t *teller) goneClaims() []*claim {
	claims := []*claim{{text: "/ is another subvolume than in boot 1", look: t.isOtherRoot}}
	for _, thing := range lost() {
		claims = append(claims, &claim{text: thing.path + " is gone", look: func(ctx context.Context) (string, bool, error) {
			return t.isGone(ctx, thing.path)
		}})
	}
	return claims
}

func (t *teller) keptClaims() []*claim {
	var claims []*claim
	for _, thing := range kept() {
		claims = append(claims, &claim{text: thing.path + " is as it was", look: func(ctx context.Context) (string, bool, error) {
			return t.isAsBefore(ctx, thing.path)
		}})
	}
	return append(
		claims,
		&claim{text: "a service that notes each boot knows of both", look: t.tallied},
		&claim{text: "the journal has both boots", look: t.journaled},
	)
}

func (t *teller) archiveClaims() []*claim {
	claims := []*claim{{text: "the archived root is read-only", look: t.isReadOnly}}
	for _, thing := range lost() {
		claims = append(claims, &claim{text: "the old root has " + thing.path, look: func(ctx context.Context) (string, bool, error) {
			return t.isArchived(ctx, thing.path)
		}})
	}
	return claims
}
