package slots_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/slots"

	"github.com/google/go-cmp/cmp"
)

func TestP12_NeverMoreScansThanTheLimit(t *testing.T) {
	t.Parallel()
	const processes, workers, scans, limit = 6, 3, 25, 3
	rdb := redistest.New(t)
	var now, most, total atomic.Int64
	var all sync.WaitGroup
	for i := range processes {
		p := start(t, rdb, fmt.Sprint("process-", i), always(limit), quick())
		for range workers {
			all.Go(func() {
				for range scans {
					_, release, err := p.Acquire(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					raise(&most, now.Add(1))
					<-time.After(rand.N(4 * time.Millisecond)) // the scan
					now.Add(-1)
					total.Add(1)
					release()
				}
			})
		}
	}
	all.Wait()
	if got := most.Load(); got != limit {
		t.Errorf("at most %d scans at once, want %d", got, limit)
	}
	if got := total.Load(); got != processes*workers*scans {
		t.Errorf("%d scans, want %d", got, processes*workers*scans)
	}
	eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
}

// raise makes most at least n.
func raise(most *atomic.Int64, n int64) {
	for {
		m := most.Load()
		if n <= m || most.CompareAndSwap(m, n) {
			return
		}
	}
}

func TestP12_LimitBelowOneGrantsNothing(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, -1} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			rdb := redistest.New(t)
			var now atomic.Int64
			now.Store(1)
			p := start(t, rdb, "a", func() int { return int(now.Load()) }, quick())
			s := acquire(t, p) // the quiet lease of a new Redis is over
			now.Store(int64(limit))
			if err := over(t, s); !errors.Is(err, slots.ErrSurplus) {
				t.Errorf("slot ended with %v, want ErrSurplus", err)
			}
			s.release()
			got := request(t, p)
			select {
			case granted := <-got:
				granted.release()
				t.Fatal("a slot was granted")
			case <-time.After(300 * time.Millisecond):
			}
			now.Store(1)
			wait(t, got)
		})
	}
}

func TestP12_CutEndsTheYoungestWithinASecond(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	var limit atomic.Int64
	limit.Store(4)
	read := func() int { return int(limit.Load()) }
	a, b := start(t, rdb, "a", read, quick()), start(t, rdb, "b", read, quick())
	held := []slot{acquire(t, a), acquire(t, b), acquire(t, b), acquire(t, a)}

	cut := time.Now()
	limit.Store(2)
	for _, s := range held[2:] {
		if err := over(t, s); !errors.Is(err, slots.ErrSurplus) {
			t.Errorf("slot ended with %v, want ErrSurplus", err)
		}
	}
	if took := time.Since(cut); took > time.Second {
		t.Errorf("the cut took %v", took)
	}
	// The surplus counts until it is released, and costs nobody else a slot.
	<-time.After(3 * quick().Lease / 20)
	for i, s := range held[:2] {
		if s.Err() != nil {
			t.Errorf("slot %d of the oldest ended: %v", i, context.Cause(s))
		}
	}
	if got := inUse(t, rdb); got != 4 {
		t.Errorf("InUse() = %d before the release, want 4", got)
	}
	held[2].release()
	held[3].release()
	eventually(t, "two slots are in use", func() bool { return inUse(t, rdb) == 2 })
}

func TestP12_RaisedLimitIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	var limit atomic.Int64
	limit.Store(1)
	p := start(t, rdb, "a", func() int { return int(limit.Load()) }, quick())
	acquire(t, p)
	got := request(t, p)
	select {
	case granted := <-got:
		granted.release()
		t.Fatal("a second slot was granted")
	case <-time.After(100 * time.Millisecond):
	}
	raised := time.Now()
	limit.Store(2)
	p.Wake()
	wait(t, got)
	if took := time.Since(raised); took > time.Second {
		t.Errorf("the raise took %v", took)
	}
}

func TestP12_WithdrawnRequestHoldsNothing(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	p := start(t, rdb, "a", always(1), quick())
	s := acquire(t, p)
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	left := make(chan error, 1)
	go func() {
		_, _, err := p.Acquire(ctx)
		left <- err
	}()
	cancel(gone)
	if err := <-left; !errors.Is(err, gone) {
		t.Errorf("Acquire() = %v, want the cause", err)
	}
	s.release()
	s.release() // more than once is allowed
	eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
}

// A slot that is released goes to whoever waits in the same process within one
// round trip: waiting costs next to nothing.
func TestSlotsAreBusy(t *testing.T) {
	t.Parallel()
	const limit, scans = 2, 4
	const scan = 300 * time.Millisecond
	rdb := redistest.New(t)
	// Who had to wait for the next look at Redis would wait for a second.
	p := start(t, rdb, "a", always(limit), slots.Config{Lease: 4 * time.Second, Poll: time.Second, Renew: time.Second})
	acquire(t, p).release() // the quiet lease of a new Redis is over
	began := time.Now()
	var all sync.WaitGroup
	var held atomic.Int64 // nanoseconds; a busy machine makes scans longer, too
	for range 2 * limit {
		all.Go(func() {
			for range scans {
				_, release, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				since := time.Now()
				<-time.After(scan)
				held.Add(int64(time.Since(since)))
				release()
			}
		})
	}
	all.Wait()
	if busy := float64(held.Load()) / float64(limit*time.Since(began)); busy < 0.75 {
		t.Errorf("slots were busy for %.1f %% of the time", 100*busy)
	}
}

// A process that hands its slot on within itself would keep it for ever.
func TestFairnessBetweenProcesses(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	greedy := start(t, rdb, "greedy", always(1), quick())
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	began := make(chan struct{}, 1000)
	for range 4 {
		all.Go(func() {
			for {
				_, release, err := greedy.Acquire(ctx)
				if err != nil {
					return
				}
				select {
				case began <- struct{}{}:
				default:
				}
				<-time.After(5 * time.Millisecond)
				release()
			}
		})
	}
	<-began
	asked := time.Now()
	modest := start(t, rdb, "modest", always(1), quick())
	acquire(t, modest).release()
	if took := time.Since(asked); took > quick().Patience+time.Second {
		t.Errorf("the other process waited for %v", took)
	}
}

// A process that waited and died must not keep a slot from others for long.
func TestFairnessForgetsTheDead(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	p := start(t, rdb, "a", always(1), quick())
	s := acquire(t, p)
	addr := rdb.Options().Addr
	dead := proxied(t, addr, "dead")
	request(t, dead.process)
	eventually(t, "the other process waits", func() bool {
		return rdb.ZScore(context.Background(), "regmend:slots:waiting", "dead").Err() == nil
	})
	<-time.After(quick().Patience)
	dead.proxy.Hang()
	got := request(t, p)
	s.release()
	wait(t, got)
}

func TestStopWaitsForTheSlotsInUse(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	p := start(t, rdb, "a", always(1), quick())
	s := acquire(t, p)
	waiting := make(chan error, 1)
	go func() {
		_, _, err := p.Acquire(context.Background())
		waiting <- err
	}()
	stopped := make(chan struct{})
	go func() { p.stop(); close(stopped) }()
	if err := <-waiting; !errors.Is(err, slots.ErrStopped) {
		t.Errorf("Acquire() while stopping = %v, want ErrStopped", err)
	}
	select {
	case <-stopped:
		t.Error("Run ended while a slot was in use")
	case <-time.After(quick().Lease * 3 / 2): // renewed beyond its lease
	}
	if s.Err() != nil {
		t.Errorf("the slot ended: %v", context.Cause(s))
	}
	if got := inUse(t, rdb); got != 1 {
		t.Errorf("InUse() = %d while stopping, want 1", got)
	}
	s.release()
	<-stopped
	if got := inUse(t, rdb); got != 0 {
		t.Errorf("InUse() = %d after the stop, want 0", got)
	}
}

func TestIdlePoolIsSilent(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	p := start(t, rdb, "a", always(1), quick())
	acquire(t, p).release()
	eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
	before := scripts(t, rdb)
	<-time.After(300 * time.Millisecond)
	if diff := cmp.Diff(before, scripts(t, rdb)); diff != "" {
		t.Errorf("an idle pool asked Redis (-before +after):\n%s", diff)
	}
}

// The quiet lease of a Redis that is new to slots passes while nobody wants one.
func TestQuietLeaseBeginsWithThePool(t *testing.T) {
	t.Parallel()
	cfg := quick()
	rdb := redistest.New(t)
	p := start(t, rdb, "a", always(1), cfg)
	eventually(t, "the pool has asked Redis", func() bool { return rdb.Exists(t.Context(), "regmend:slots:epoch").Val() == 1 })
	<-time.After(cfg.Lease)
	asked := time.Now()
	acquire(t, p).release()
	if took := time.Since(asked); took > cfg.Lease/2 {
		t.Errorf("the first slot took %s, the lease is %s", took, cfg.Lease)
	}
}
