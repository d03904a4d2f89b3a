package slots_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/slots"

	"github.com/redis/go-redis/v9"
)

// spender is a process that sends as many requests as it may while it holds
// slots, and notes when.
type spender struct {
	process
	budget *slots.Budget
	rate   *atomic.Int64
}

func startSpender(t *testing.T, rdb redis.UniversalClient, name string, slotsInAll int, rate *atomic.Int64) spender {
	t.Helper()
	budget := slots.NewBudget()
	cfg := slots.Config{Lease: 2 * time.Second, Patience: 500 * time.Millisecond, Budget: budget}
	limits := func() slots.Limits { return slots.Limits{Slots: slotsInAll, PerSecond: int(rate.Load())} }
	return spender{process: startLimited(t, rdb, name, limits, cfg), budget: budget, rate: rate}
}

// sent are the moments of requests, of all processes.
type sent struct {
	mu sync.Mutex
	at []time.Time
}

func (s *sent) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
}

// busiest is the most requests of any second that begins from then on.
func (s *sent) busiest(from time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.at, time.Time.Compare)
	most := 0
	for i, at := range s.at {
		if at.Before(from) {
			continue
		}
		end, _ := slices.BinarySearchFunc(s.at, at.Add(time.Second), time.Time.Compare)
		most = max(most, end-i)
	}
	return most
}

func (s *sent) since(from time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, at := range s.at {
		if at.After(from) {
			n++
		}
	}
	return n
}

// sustains waits until so many requests were sent within so long: a machine that
// is busy for a while delays that, a budget that gives less never comes to it.
func (s *sent) sustains(t *testing.T, n int, within time.Duration) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d requests are sent within %s", n, within), func() bool {
		return s.since(time.Now().Add(-within)) >= n
	})
}

// scan spends under slots, several requests under each, until ctx ends.
func (p spender) scan(ctx context.Context, all *sync.WaitGroup, log *sent) {
	all.Go(func() {
		for ctx.Err() == nil {
			slot, release, err := p.Acquire(ctx)
			if err != nil {
				return
			}
			for range 10 {
				if p.budget.Spend(slot) != nil {
					break
				}
				log.note()
				pause(slot, time.Millisecond)
			}
			release()
		}
	})
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func TestNeverMoreRequestsInASecondThanTheRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{1, 10, 75, 400} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			rdb := redistest.New(t)
			var perSecond atomic.Int64
			perSecond.Store(int64(rate))
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			var log sent
			for i := range 3 {
				p := startSpender(t, rdb, fmt.Sprint("process-", i), 6, &perSecond)
				for range 3 {
					p.scan(ctx, &all, &log)
				}
			}
			eventually(t, "a request is sent", func() bool { return log.since(time.Time{}) > 0 })
			const watched = 6 // seconds
			<-time.After(watched * time.Second)
			log.sustains(t, int(math.Ceil(watched*(0.75*float64(rate)-0.4))), watched*time.Second)
			cancel()
			all.Wait()
			if most := log.busiest(time.Time{}); most > rate {
				t.Errorf("%d requests in a second, want at most %d", most, rate)
			}
		})
	}
}

func TestARateThatChangesIsNeverExceeded(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	var rate atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var log sent
	for i := range 2 {
		startSpender(t, rdb, fmt.Sprint("process-", i), 4, &rate).scan(ctx, &all, &log)
	}
	eventually(t, "free requests are sent", func() bool { return log.since(time.Time{}) > 1000 })
	for _, next := range []int{100, 20, 120} {
		before := int(rate.Load())
		rate.Store(int64(next))
		changed := time.Now()
		<-time.After(2 * time.Second)
		// A free budget may have let out any number.
		if most := log.busiest(changed); before > 0 && most > max(before, next) {
			t.Errorf("%d requests in a second while %d became %d", most, before, next)
		}
		inForce := time.Now()
		<-time.After(2 * time.Second)
		log.sustains(t, next, 2*time.Second)
		if most := log.busiest(inForce); most > next {
			t.Errorf("%d requests in a second, 2 s after the rate became %d", most, next)
		}
	}
	rate.Store(0)
	freed := time.Now()
	eventually(t, "requests are free again", func() bool { return log.since(freed) > 2000 })
	cancel()
	all.Wait()
	if n := rdb.Exists(context.Background(), "regmend:slots:budget").Val(); n != 0 {
		t.Error("the ledger is still there")
	}
}

func TestTheRateHoldsWhenRedisIsEmptied(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	const perSecond = 40
	var rate atomic.Int64
	rate.Store(perSecond)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var log sent
	for i := range 4 {
		startSpender(t, rdb, fmt.Sprint("process-", i), 4, &rate).scan(ctx, &all, &log)
	}
	eventually(t, "requests are sent", func() bool { return log.since(time.Time{}) > perSecond })
	for range 3 {
		// As a new Redis would be: nothing is known of what was handed out.
		if err := rdb.Eval(ctx, `for _, key in ipairs(redis.call('KEYS', 'regmend:*')) do redis.call('DEL', key) end return 1`, nil).Err(); err != nil {
			t.Fatal(err)
		}
		lost := time.Now()
		eventually(t, "requests are sent again", func() bool { return log.since(lost) > 2*perSecond })
	}
	cancel()
	all.Wait()
	if most := log.busiest(time.Time{}); most > perSecond {
		t.Errorf("%d requests in a second, want at most %d", most, perSecond)
	}
}

// The share of a slot that nobody holds goes to those that are held.
func TestWhatOneProcessLeavesOthersTake(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	const perSecond = 60
	var rate atomic.Int64
	rate.Store(perSecond)
	idle := startSpender(t, rdb, "idle", 2, &rate)
	busy := startSpender(t, rdb, "busy", 2, &rate)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var log sent
	busy.scan(ctx, &all, &log)
	eventually(t, "requests are sent", func() bool { return log.since(time.Time{}) > perSecond })
	log.sustains(t, 3*perSecond*65/100, 3*time.Second)
	s := acquire(t, idle.process)
	// Nor was saved up what was not spent.
	all.Go(func() {
		for idle.budget.Spend(ctx) == nil {
			log.note()
		}
	})
	<-time.After(2 * time.Second)
	cancel()
	all.Wait()
	if most := log.busiest(time.Time{}); most > perSecond || s.Err() != nil {
		t.Errorf("%d requests in a second, want at most %d", most, perSecond)
	}
}

func TestSpendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	var rate atomic.Int64
	rate.Store(1)
	p := startSpender(t, rdb, "a", 1, &rate)
	s := acquire(t, p.process)
	if err := p.budget.Spend(s); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(s)
	left := make(chan error, 1)
	go func() { left <- p.budget.Spend(ctx) }()
	cancel(gone)
	if err := <-left; !errors.Is(err, gone) {
		t.Errorf("Spend() = %v, want the cause", err)
	}
}
