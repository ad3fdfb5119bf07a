package mounts

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// neverAnswers mounts a file system that never answers. When its server ends,
// whoever waits for it gets an error.
func neverAnswers(t *testing.T, dir string) (end func()) {
	t.Helper()
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open /dev/fuse: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)
	if err := unix.Mount("test", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		t.Fatalf("mount fuse: %v", err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			unix.Close(server)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	}
	t.Cleanup(end)
	return end
}

// A user's file system that does not answer keeps nothing else from being copied.
// When it has gone, its file is copied as well.
func TestSyncBackPassesOver(t *testing.T) {
	g := newGround(t)
	g.tree("dir home/ann", "file srv/fine 0644 0:0 new", "file persist/srv/fine 0644 0:0 old", "file persist/home/ann/stuck 0644 0:0 old")
	g.write("home/ann/stuck", "new")
	g.setTime("home/ann/stuck", 100)
	g.setTime("srv/fine", 100)
	g.entries(synced("/home/ann/stuck"), synced("/srv/fine"))
	end := neverAnswers(t, g.path("home/ann"))
	g.root.Patience = 10 * time.Millisecond // of the first entry; the next has more
	for _, want := range []State{InPlace, Already} {
		results := g.syncBack()
		g.requireState(results, "/srv/fine", want)
		g.requireState(results, "/home/ann/stuck", Failed)
		if reason := results["/home/ann/stuck"].Reason; reason != errNoAnswer.Error() {
			t.Errorf("the reason is %q", reason)
		}
		if len(g.root.stuck) != 1 {
			t.Fatalf("%d wait, want 1", len(g.root.stuck))
		}
	}
	g.requireContent("persist/srv/fine", "new")
	g.requireContent("persist/home/ann/stuck", "old")

	waiting := g.root.stuck[0]
	end()
	for !waiting.task.wait(time.Second) {
		t.Log("still waiting for a file system that is gone")
	}
	g.requireContent("persist/home/ann/stuck", "old")
	g.requireState(g.syncBack(), "/home/ann/stuck", InPlace)
	g.requireContent("persist/home/ann/stuck", "new")
	if len(g.root.stuck) != 0 {
		t.Errorf("%d still wait", len(g.root.stuck))
	}
}

// A file system that answers in the end is waited for, whatever it answers.
func TestSyncBackWaits(t *testing.T) {
	g := newGround(t)
	g.tree("dir home/ann", "file persist/home/ann/slow 0644 0:0 old")
	g.entries(synced("/home/ann/slow"))
	end := neverAnswers(t, g.path("home/ann"))
	g.root.Patience = time.Hour
	ended := make(chan bool)
	go func() {
		time.Sleep(50 * time.Millisecond)
		end()
		close(ended)
	}()
	result := g.syncBack()["/home/ann/slow"]
	<-ended
	if result.State == Failed && result.Reason == errNoAnswer.Error() || len(g.root.stuck) != 0 {
		t.Errorf("it was not waited for: %+v", result)
	}
	g.requireContent("persist/home/ann/slow", "old")
}

// A plan makes a directory once, however many entries are in it.
func TestPlanSyncBackPatiently(t *testing.T) {
	g := newGround(t)
	g.tree("file etc/deep/a 0644 0:0 new", "file etc/deep/b 0644 0:0 new")
	g.entries(synced("/etc/deep/a"), synced("/etc/deep/b"))
	want := fmt.Sprint(g.root.PlanSyncBack())
	g.root.Patience = time.Hour
	if got := fmt.Sprint(g.root.PlanSyncBack()); got != want {
		t.Errorf("the plan is\n%s\nand without patience\n%s", got, want)
	}
}

// What was given up changes nothing any more, however far it has come.
func TestGivenUpChangesNothing(t *testing.T) {
	g := newGround(t)
	g.tree("file etc/a 0644 0:0 new", "file persist/etc/a 0644 0:0 old", "file etc/deep/b 0644 0:0 new")
	g.setTime("etc/a", 100)
	g.entries(synced("/etc/a"), synced("/etc/deep/b"))
	giveUp := func(p *placing) error {
		p.run.givenUp.Store(true)
		return p.copyBack()
	}
	results := byPath(g.root.each(false, all, giveUp))
	g.requireState(results, "/etc/a", Failed)
	g.requireState(results, "/etc/deep/b", Failed)
	g.requireMissing("persist/etc/deep")

	// When the copy is there, and has not got the name yet.
	var run *run
	g.root.Observe = func(Step) { run.givenUp.Store(true) }
	results = byPath(g.root.each(false, all, func(p *placing) error {
		run = p.run
		run.givenUp.Store(false)
		return p.copyBack()
	}))
	g.requireState(results, "/etc/a", Failed)
	g.requireContent("persist/etc/a", "old")
	g.root.Observe = nil
	g.requireState(g.syncBack(), "/etc/a", InPlace)
	g.requireContent("persist/etc/a", "new")
}

// Other directories are watched while one does not answer.
func TestWatchPassesOver(t *testing.T) {
	g := newGround(t)
	g.tree("dir home/ann", "file srv/fine 0644 0:0 old", "file persist/srv/fine 0644 0:0 old")
	g.entries(synced("/home/ann/stuck"), synced("/srv/fine"))
	g.setTime("srv/fine", 100)
	neverAnswers(t, g.path("home/ann"))
	g.root.Patience = 10 * time.Millisecond
	stop := g.watch()
	for _, text := range []string{"one", "another"} {
		if err := os.WriteFile(g.path("srv/fine"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		g.waitContent("persist/srv/fine", text)
	}
	stop()
}
