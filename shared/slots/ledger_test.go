package slots_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
)

// What somebody else left in the ledger's place must not keep requests back.
func TestALedgerThatCannotBeOneIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, ledger := range map[string]string{
		"no JSON":                  `{`,
		"null":                     `null`,
		"another thing":            `[1, 2]`,
		"of the rate alone":        `{"rate": 50}`,
		"beginning in a year":      `{"rate": 50, "anchor": 1900000000000, "last": 0, "last_step": 20, "taken": {}}`,
		"handed out for a year":    `{"rate": 50, "anchor": 1700000000000, "last": 1900000000000, "last_step": 20, "taken": {}}`,
		"with ticks that are none": `{"rate": 50, "anchor": 1700000000000, "last": 0, "last_step": 20, "taken": {"x": "y"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := redistest.New(t)
			var rate atomic.Int64
			rate.Store(50)
			p := startSpender(t, rdb, "a", 1, &rate)
			s := acquire(t, p.process)
			if err := rdb.Set(t.Context(), "regmend:slots:budget", ledger, 0).Err(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(s, 5*time.Second)
			defer cancel()
			for range 20 {
				if err := p.budget.Spend(ctx); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Two processes may know different rates for a moment.
func TestProcessesThatKnowDifferentRatesKeepToTheLarger(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	var low, high atomic.Int64
	low.Store(20)
	high.Store(60)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var log sent
	startSpender(t, rdb, "low", 2, &low).scan(ctx, &all, &log)
	startSpender(t, rdb, "high", 2, &high).scan(ctx, &all, &log)
	eventually(t, "requests are sent", func() bool { return log.since(time.Time{}) > 10 })
	<-time.After(4 * time.Second)
	cancel()
	all.Wait()
	if most := log.busiest(time.Time{}); most > 60 {
		t.Errorf("%d requests in a second, the larger rate is 60", most)
	}
}

// Until their slots are free nobody asks for the share of the rate that dead
// processes have.
func TestTheShareOfTheDeadGoesToWhoWaits(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	const perSecond, watched = 10, 5 * time.Second
	var rate atomic.Int64
	rate.Store(perSecond)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var log sent
	startSpender(t, rdb, "alive", 10, &rate).scan(ctx, &all, &log)
	eventually(t, "requests are sent", func() bool { return log.since(time.Time{}) > perSecond })
	died := time.Now()
	for time.Since(died) < watched {
		for i := range 7 {
			dead := redis.Z{Score: float64(time.Now().Add(time.Second).UnixMilli()), Member: fmt.Sprint("dead/", i)}
			if err := rdb.ZAdd(ctx, "regmend:slots:held", dead).Err(); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(50 * time.Millisecond)
	}
	n := log.since(died)
	cancel()
	all.Wait()
	if want := perSecond * int(watched/time.Second); n < want*7/10 {
		t.Errorf("%d requests in %s, the rate allows %d", n, watched, want)
	}
}
