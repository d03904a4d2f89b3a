package board_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/servers/redistest"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func open(t *testing.T) (*board.Board, *redis.Client) {
	t.Helper()
	rdb := redistest.New(t)
	return board.New(rdb), rdb
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// vanished waits until condition holds: a notice has expired.
func vanished(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		if condition() {
			return
		}
	}
	t.Fatal("it did not expire")
}

func TestRunMark(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	mark, err := b.RunMark(ctx)
	must(t, err)
	if mark != (board.RunMark{}) {
		t.Errorf("RunMark() of an empty Redis = %v", mark)
	}
	for _, step := range []struct {
		fact        string
		raise, want board.RunMark
	}{
		{"none is known", board.RunMark{Run: 3, Scan: 10}, board.RunMark{Run: 3, Scan: 10}},
		{"a higher scan", board.RunMark{Run: 3, Scan: 1<<53 - 1}, board.RunMark{Run: 3, Scan: 1<<53 - 1}},
		{"a lower scan", board.RunMark{Run: 3, Scan: 9}, board.RunMark{Run: 3, Scan: 1<<53 - 1}},
		{"an older run", board.RunMark{Run: 2, Scan: 1 << 53}, board.RunMark{Run: 3, Scan: 1<<53 - 1}},
		{"a newer run", board.RunMark{Run: 4, Scan: 5}, board.RunMark{Run: 4, Scan: 5}},
	} {
		got, err := b.Raise(ctx, step.raise)
		must(t, err)
		if got != step.want {
			t.Errorf("%s: Raise(%v) = %v, want %v", step.fact, step.raise, got, step.want)
		}
		if got, err = b.RunMark(ctx); err != nil || got != step.want {
			t.Errorf("%s: RunMark() = %v, %v, want %v", step.fact, got, err, step.want)
		}
	}
}

func TestBeginDropsWhatWasOfTheLastRun(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	_, err := b.Raise(ctx, board.RunMark{Run: 3, Scan: 10})
	must(t, err)
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldWitness}, time.Minute))
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldRun}, time.Minute))
	must(t, b.SetWitness(ctx, board.Witness{Run: 3}, time.Minute))
	must(t, b.SetControl(ctx, 4, "g/app"))
	must(t, b.SetCatalog(ctx, board.Catalog{Granted: true}, time.Minute))

	must(t, b.Begin(ctx, board.RunMark{Run: 4, Scan: 5}))
	mark, err := b.RunMark(ctx)
	must(t, err)
	if want := (board.RunMark{Run: 4, Scan: 5}); mark != want {
		t.Errorf("RunMark() = %v, want %v", mark, want)
	}
	mustHold(t, b)
	if w, ok, err := b.Witness(ctx); ok || err != nil {
		t.Errorf("Witness() = %v, %v", w, err)
	}
	if c, ok, err := b.Control(ctx, 4); ok || err != nil {
		t.Errorf("Control() = %v, %v", c, err)
	}
	if c, ok, err := b.Catalog(ctx); ok || err != nil {
		t.Errorf("Catalog() = %v, %v", c, err)
	}
}

func mustHold(t *testing.T, b *board.Board, want ...board.Hold) {
	t.Helper()
	got, err := b.Holds(context.Background())
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Holds() (-want +got):\n%s", diff)
	}
}

func TestHold(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	since := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	first := board.Hold{Reason: "503 from the registry", Kind: board.HoldRegistry, Since: since, By: "a"}
	must(t, b.SetHold(ctx, first, time.Minute))
	again := board.Hold{
		Reason: `429 "slow/down" <ü>`, Kind: board.HoldRegistry, By: "b",
		Since: since.Add(time.Hour), Until: since.Add(2 * time.Hour),
	}
	must(t, b.SetHold(ctx, again, time.Minute))
	want := again
	want.Since = since
	mustHold(t, b, want)

	run := board.Hold{Kind: board.HoldRun, Since: since.Add(time.Hour)}
	must(t, b.SetHold(ctx, run, time.Minute))
	mustHold(t, b, run, want) // what explains the other comes first
	must(t, b.ClearHold(ctx, board.HoldRun))
	mustHold(t, b, want)
	must(t, b.ClearHold(ctx, board.HoldRegistry))
	mustHold(t, b)
	if err := b.SetHold(ctx, board.Hold{Kind: "weather"}, time.Minute); err == nil {
		t.Error("a hold of unknown kind was put up")
	}
}

func TestNoticesExpire(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldRegistry}, 50*time.Millisecond))
	must(t, b.SetWitness(ctx, board.Witness{Run: 3, Sampled: 20, Found: 19}, 50*time.Millisecond))
	vanished(t, func() bool {
		holds, err := b.Holds(ctx)
		must(t, err)
		_, witness, err := b.Witness(ctx)
		must(t, err)
		return len(holds) == 0 && !witness
	})
}

func TestNotices(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	got, err := b.Notices(ctx)
	must(t, err)
	if diff := cmp.Diff(board.Notices{}, got); diff != "" {
		t.Errorf("Notices() of an empty Redis (-want +got):\n%s", diff)
	}
	want := board.Notices{
		Run:     board.RunMark{Run: 3, Scan: 10},
		Hold:    board.Hold{Kind: board.HoldRegistry, Reason: "503", By: "a"},
		Witness: board.Witness{Run: 3, Sampled: 20, Found: 20},
		Catalog: board.Catalog{Registry: "https://registry", Granted: true},
	}
	_, err = b.Raise(ctx, want.Run)
	must(t, err)
	must(t, b.SetHold(ctx, want.Hold, time.Minute))
	must(t, b.SetWitness(ctx, want.Witness, time.Minute))
	must(t, b.SetCatalog(ctx, want.Catalog, time.Minute))
	got, err = b.Notices(ctx)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Notices() (-want +got):\n%s", diff)
	}
}

func TestControlIsOfOneRun(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	must(t, b.SetControl(ctx, 3, "g/app"))
	if path, ok, err := b.Control(ctx, 3); !ok || err != nil || path != "g/app" {
		t.Errorf("Control(3) = %q, %v, %v", path, ok, err)
	}
	if path, ok, err := b.Control(ctx, 4); ok || err != nil {
		t.Errorf("Control(4) = %q, %v, %v, want none", path, ok, err)
	}
}

func TestNotesComeBackAsTheyWere(t *testing.T) {
	b, _ := open(t)
	ctx := context.Background()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	if _, ok, err := b.Counters(ctx); ok || err != nil {
		t.Errorf("Counters() of an empty Redis: %v, %v", ok, err)
	}
	counters := board.Counters{
		Run: 3, Projects: 10, Eligible: 9, Completed: 5, Failed: 1, Pending: 3,
		MissingTotal: 7, ProjectsWithMissing: 2, At: at,
	}
	must(t, b.SetCounters(ctx, counters))
	if got, ok, err := b.Counters(ctx); !ok || err != nil || got != counters {
		t.Errorf("Counters() = %v, %v, %v, want %v", got, ok, err, counters)
	}
	witness := board.Witness{Run: 3, Registry: "https://registry", Sampled: 200, Found: 150, At: at}
	must(t, b.SetWitness(ctx, witness, time.Minute))
	if got, ok, err := b.Witness(ctx); !ok || err != nil || got != witness {
		t.Errorf("Witness() = %v, %v, %v, want %v", got, ok, err, witness)
	}
	must(t, b.CountScanned(ctx, 3))
	must(t, b.CountScanned(ctx, 4))
	if n, err := b.Scanned(ctx); err != nil || n != 7 {
		t.Errorf("Scanned() = %d, %v, want 7", n, err)
	}
}

func TestLock(t *testing.T) {
	b, rdb := open(t)
	ctx := context.Background()
	lock := func(holder string, lease time.Duration) bool {
		t.Helper()
		ok, err := b.Lock(ctx, "producer", holder, lease)
		must(t, err)
		return ok
	}
	if !lock("a", time.Minute) || lock("b", time.Minute) {
		t.Error("the first one does not have the lock alone")
	}
	must(t, b.Unlock(ctx, "producer", "b"))
	if lock("b", time.Minute) {
		t.Error("somebody else's unlock freed the lock")
	}
	if !lock("a", time.Hour) {
		t.Error("the holder cannot renew")
	}
	if ttl := rdb.PTTL(ctx, "regmend:lock:producer").Val(); ttl <= time.Minute {
		t.Errorf("lease is %v after the renewal", ttl)
	}
	must(t, b.Unlock(ctx, "producer", "a"))
	if !lock("b", 50*time.Millisecond) {
		t.Error("the lock is not free after its unlock")
	}
	vanished(t, func() bool { return lock("a", time.Minute) })
}

func TestWalk(t *testing.T) {
	b, rdb := open(t)
	ctx := context.Background()
	if _, ok, err := b.Walk(ctx); ok || err != nil {
		t.Errorf("Walk() of an empty Redis: %v, %v", ok, err)
	}
	advance := func(from, to board.Walk) bool {
		t.Helper()
		ok, err := b.AdvanceWalk(ctx, from, to)
		must(t, err)
		return ok
	}
	// As the producer makes it: with a monotonic clock, in a local zone.
	first := board.Walk{Run: 3, Lap: 1, Started: time.Now().In(time.FixedZone("here", 3600))}
	second := first
	second.Cursor = 100
	if !advance(board.Walk{}, first) {
		t.Error("none to first refused")
	}
	if advance(board.Walk{}, second) {
		t.Error("none to second accepted, but first is there")
	}
	if !advance(first, second) {
		t.Error("first to second refused")
	}
	if !advance(first, second) {
		t.Error("first to second refused when sent again after a lost reply")
	}
	third := second
	third.Cursor = 200
	if advance(first, third) {
		t.Error("first to third accepted, but second is there")
	}
	read, ok, err := b.Walk(ctx)
	if !ok || err != nil || !advance(read, third) {
		t.Errorf("what was read (%v, %v, %v) cannot be advanced", read, ok, err)
	}
	must(t, rdb.FlushAll(ctx).Err())
	if advance(third, second) {
		t.Error("advanced a walk that Redis has lost")
	}
}

func TestWalkIsAdvancedByOne(t *testing.T) {
	b, _ := open(t)
	var won atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ok, err := b.AdvanceWalk(context.Background(), board.Walk{}, board.Walk{Run: 3, Lap: int64(i + 1)})
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d began a lap, want 1", won.Load())
	}
}
