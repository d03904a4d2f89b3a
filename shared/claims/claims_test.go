package claims_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/claims"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

func TestClaim(t *testing.T) {
	rdb := newRedis(t)
	a, b := start(t, rdb, "a"), start(t, rdb, "b")
	if runs := a.claim(t, batch(1)); runs != 1 {
		t.Errorf("runs = %d, want 1", runs)
	}
	b.refused(t, batch(0), claims.Elsewhere)
	a.refused(t, batch(1), claims.Elsewhere) // its own handler still runs
	b.release(t, batch(1))                   // not its own
	b.refused(t, batch(1), claims.Elsewhere)
	if runs := b.claim(t, batch(2)); runs != 2 {
		t.Errorf("runs of a later generation = %d, want 2", runs)
	}
	a.release(t, batch(1)) // taken over meanwhile
	a.refused(t, batch(2), claims.Elsewhere)
}

func TestReleasedBatchBeginsAnew(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	a.claim(t, batch(1))
	a.release(t, batch(1))
	if n := rdb.HLen(context.Background(), "regmend:claims").Val(); n != 0 {
		t.Errorf("%d claims are left", n)
	}
	if runs := start(t, rdb, "b").claim(t, batch(1)); runs != 1 {
		t.Errorf("runs = %d, want 1", runs)
	}
}

func TestOneOfManyClaimsTheBatch(t *testing.T) {
	rdb := newRedis(t)
	a, b := start(t, rdb, "a"), start(t, rdb, "b")
	var granted atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		p := []*process{a, b}[i%2]
		all.Go(func() {
			outcome, _, err := p.Claim(context.Background(), batch(1))
			if err != nil {
				t.Error(err)
			}
			if outcome == claims.Granted {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	if granted.Load() != 1 {
		t.Errorf("granted to %d, want 1", granted.Load())
	}
}

// The client sends a claim again when its reply is lost: it is the same one.
func TestClaimWhoseReplyIsLost(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	a.line.replies.Store(true)
	if _, _, err := a.Claim(context.Background(), batch(1)); !errors.Is(err, errDown) {
		t.Fatalf("Claim() = %v, want the line's error", err)
	}
	a.line.replies.Store(false)
	t.Run("is no claim of a later task", func(t *testing.T) {
		a.claim(t, batch(2))
		a.release(t, batch(2))
	})
	a.line.replies.Store(true)
	if _, _, err := a.Claim(context.Background(), batch(3)); !errors.Is(err, errDown) {
		t.Fatalf("Claim() = %v, want the line's error", err)
	}
	a.line.replies.Store(false)
	// Who was delivered it next may have dropped it as another's.
	if got := back(t, a); got.Generation != 4 {
		t.Errorf("generation %d was put back, want 4", got.Generation)
	}
}

func TestGuard(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	ctx, done := a.Guard(context.Background(), batch(1))
	done()
	lost(t, ctx) // was never granted
	a.claim(t, batch(1))
	ctx, done = a.Guard(context.Background(), batch(1))
	<-time.After(2 * quick().Lease) // renewed some times
	if ctx.Err() != nil {
		t.Errorf("a claim that is held ended: %v", context.Cause(ctx))
	}
	done()
	if ctx.Err() == nil {
		t.Error("the context outlives its release")
	}
}

func TestLossOfTheClaimIsNoticed(t *testing.T) {
	t.Run("Redis was emptied", func(t *testing.T) {
		rdb := newRedis(t)
		a := start(t, rdb, "a")
		a.claim(t, batch(1))
		ctx, done := a.Guard(context.Background(), batch(1))
		defer done()
		if err := rdb.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		lost(t, ctx)
		eventually(t, "the process is known again", func() bool { return len(processNames(t, rdb)) == 1 })
		a.release(t, batch(1))
		a.claim(t, batch(1))
	})
	t.Run("another process took it over", func(t *testing.T) {
		rdb := newRedis(t)
		a, b := start(t, rdb, "a"), start(t, rdb, "b")
		a.claim(t, batch(1))
		ctx, done := a.Guard(context.Background(), batch(1))
		defer done()
		a.line.down.Store(true)
		if got := back(t, b); got.Generation != 2 {
			t.Errorf("generation %d was put back, want 2", got.Generation)
		}
		b.claim(t, batch(2))
		a.line.down.Store(false)
		lost(t, ctx)
		a.release(t, batch(1))
		a.refused(t, batch(2), claims.Elsewhere) // the late release removed nothing
		quiet(t, 2*quick().Look, a, b)
	})
	t.Run("this process took over from itself", func(t *testing.T) {
		rdb := newRedis(t)
		a := start(t, rdb, "a")
		a.claim(t, batch(1))
		ctx, done := a.Guard(context.Background(), batch(1))
		defer done()
		a.claim(t, batch(2))
		lost(t, ctx)
		a.release(t, batch(1))
		a.refused(t, batch(2), claims.Elsewhere)
	})
}

func TestMarks(t *testing.T) {
	rdb := newRedis(t)
	a := newProcess(t, rdb, "a")
	ctx := context.Background()
	for want := range 3 {
		if deaths, err := a.Mark(ctx, 7); err != nil || deaths != want {
			t.Errorf("Mark() = %d, %v, want %d", deaths, err, want)
		}
	}
	if deaths, err := a.Mark(ctx, 8); err != nil || deaths != 0 {
		t.Errorf("Mark() of another project = %d, %v", deaths, err)
	}
	if err := a.Unmark(ctx, 7); err != nil {
		t.Fatal(err)
	}
	if deaths, err := a.Mark(ctx, 7); err != nil || deaths != 0 {
		t.Errorf("Mark() after Unmark() = %d, %v", deaths, err)
	}
	if ttl := rdb.TTL(ctx, "regmend:marks").Val(); ttl < 6*24*time.Hour {
		t.Errorf("marks live for %v", ttl)
	}
}

func TestProcesses(t *testing.T) {
	rdb := newRedis(t)
	cfg := quick()
	cfg.Info = claims.Info{Kind: "consumer", Host: "node", PID: 42, Version: "1.2", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	introduced := claims.New(rdb, "b", logrus.New(), cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := introduced.Run(ctx, nil, nil); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	a := start(t, rdb, "a")
	eventually(t, "both are there", func() bool { return len(processNames(t, rdb)) == 2 })
	got, err := claims.Processes(context.Background(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	want := []claims.Process{{Name: "a"}, {Name: "b", Info: cfg.Info}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Processes() (-want +got):\n%s", diff)
	}

	cancel()
	running.Wait()
	if diff := cmp.Diff([]string{"a"}, processNames(t, rdb)); diff != "" {
		t.Errorf("after one has left (-want +got):\n%s", diff)
	}
	a.line.down.Store(true)
	eventually(t, "the silent one is gone", func() bool { return len(processNames(t, rdb)) == 0 })
}
