package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
)

// newRedisSide starts the side alone.
func newRedisSide(t *testing.T) *redisSide {
	t.Helper()
	in := &installation{dir: t.TempDir(), secrets: map[string]string{}}
	r, err := in.startRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func newDice() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// redisVisit is what a client saw that counted in Redis as fast as it could.
type redisVisit struct {
	client redis.UniversalClient
	ok     int // answers
	cut    int // connections that ended
	late   int // answers that did not come
	denied map[string]int
}

func newRedisVisit(t *testing.T, r *redisSide) *redisVisit {
	t.Helper()
	options := r.options()
	options.MaxRetries = -1 // errors are to be seen
	options.ContextTimeoutEnabled = true
	client := redis.NewUniversalClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return &redisVisit{client: client, denied: map[string]int{}}
}

var count = redis.NewScript(`return redis.call('INCR', KEYS[1])`)

// until counts until the fault is over.
func (v *redisVisit) until(ctx context.Context, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
			v.once(ctx, 100*time.Millisecond)
		}
	}
}

// once counts once; an answer that takes longer than patience is late.
func (v *redisVisit) once(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := count.Run(ctx, v.client, []string{"count"}).Err()
	var refusal redis.Error
	switch {
	case err == nil:
		v.ok++
	case errors.As(err, &refusal):
		reason, _, _ := strings.Cut(err.Error(), " ")
		v.denied[reason]++
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		v.late++
	case errors.Is(err, io.EOF):
		v.cut++
	}
}

// times counts so many times, without any fault.
func (v *redisVisit) times(t *testing.T, n int) {
	t.Helper()
	for range n {
		v.once(t.Context(), 10*time.Second) // the machine may be busy
	}
	if v.ok != n {
		t.Fatalf("without a fault: %+v", v)
	}
}

// counted is what Redis counted, of all visits.
func (v *redisVisit) counted(t *testing.T) int {
	t.Helper()
	n, err := v.client.Get(t.Context(), "count").Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return n
}

func TestRedisFaults(t *testing.T) {
	for _, who := range []string{"the first master", "the former replica"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			r := newRedisSide(t)
			if who == "the former replica" {
				if err := redisFailsOver(time.Millisecond).inject(t.Context(), r, newDice()); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range redisTrials {
				t.Run(f.name, func(t *testing.T) { f.run(t, r) })
			}
		})
	}
}

// redisTrial is a fault and what shows that it was one.
type redisTrial struct {
	name  string
	fault redisFault
	sees  func(*redisVisit) bool
	// more is counted than answered if nobody heard of it; less than nothing if
	// something was lost. unheard is how many answers did not come.
	more  func(more, unheard int) bool
	loses bool
}

var (
	cutOff  = func(v *redisVisit) bool { return v.cut > 0 }
	nothing = func(v *redisVisit) bool { return v.cut+len(v.denied) == 0 }
	kept    = func(more, _ int) bool { return more >= 0 }
	gone    = func(more, _ int) bool { return more < 0 }
	unheard = func(more, unheard int) bool { return 0 < more && more <= unheard }
)

var redisTrials = []redisTrial{
	{name: "restart-aof", fault: redisRestarts, sees: cutOff, more: kept},
	{name: "crash-aof", fault: redisCrashes, sees: cutOff, more: gone, loses: true},
	{name: "restart-empty", fault: redisStartsEmpty, sees: cutOff, more: gone, loses: true},
	{name: "flushall", fault: redisFlushed, sees: nothing, more: gone, loses: true},
	{
		name: "away", fault: redisAway(2 * time.Second), more: kept,
		sees: func(v *redisVisit) bool { return v.cut > 0 && v.late > 0 },
	},
	{
		name: "replies-lost", fault: redisRepliesLost(time.Second), more: unheard,
		sees: func(v *redisVisit) bool { return v.cut > 0 && v.late > 0 },
	},
	{name: "cut-in-script", fault: redisCut(time.Second), sees: cutOff, more: kept},
	{
		name: "read-only", fault: redisReadOnly(time.Second), more: kept,
		sees: func(v *redisVisit) bool { return v.denied["READONLY"] > 0 },
	},
	{
		name: "memory-full", fault: redisFull(time.Second), more: kept,
		sees: func(v *redisVisit) bool { return v.denied["OOM"] > 0 },
	},
}

func (f redisTrial) run(t *testing.T, r *redisSide) {
	master, losses := r.master(), len(r.lost())
	visit := newRedisVisit(t, r)
	before := visit.counted(t)
	visit.times(t, 5)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := f.fault.inject(t.Context(), r, newDice()); err != nil {
			t.Error(err)
		}
	}()
	visit.until(t.Context(), over)
	checkWhole(t, r)
	if r.master() != master {
		t.Error("the master is another one")
	}
	if !f.sees(visit) {
		t.Errorf("not seen in %+v", visit)
	}
	if more := visit.counted(t) - before - visit.ok; !f.more(more, visit.cut+visit.late) {
		t.Errorf("%d more counted than answered: %+v", more, visit)
	}
	if noted := len(r.lost()) > losses; noted != f.loses {
		t.Errorf("loss noted: %t", noted)
	}
}

// checkWhole complains unless everything answers, by the way regmend goes.
func checkWhole(t *testing.T, r *redisSide) {
	t.Helper()
	if err := r.whole(t.Context()); err != nil {
		t.Fatal(err)
	}
	visit := newRedisVisit(t, r)
	visit.times(t, 20)
	if err := visit.client.DecrBy(t.Context(), "count", 20).Err(); err != nil {
		t.Error(err)
	}
}

func TestRedisFailsOver(t *testing.T) {
	t.Parallel()
	r := newRedisSide(t)
	for range 2 {
		master, losses := r.master(), len(r.lost())
		if err := redisFailsOver(200*time.Millisecond).inject(t.Context(), r, newDice()); err != nil {
			t.Fatal(err)
		}
		if r.master() == master || r.client() == master.client || len(r.lost()) == losses {
			t.Error("the master is the same")
		}
		if err := master.client.Set(t.Context(), "key", "value", 0).Err(); !redis.IsReadOnlyError(err) {
			t.Errorf("a write to the former master: %v", err)
		}
		checkWhole(t, r)
	}
}

// A fault that is broken off leaves nothing behind.
func TestRedisIsWholeAfterAnEnd(t *testing.T) {
	t.Parallel()
	r := newRedisSide(t)
	for _, f := range append(redisTrials, redisTrial{name: "failover", fault: redisFailsOver(time.Hour)}) {
		t.Run(f.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := f.fault.inject(ctx, r, newDice()); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			checkWhole(t, r)
		})
	}
}

func TestRedisText(t *testing.T) {
	t.Parallel()
	r := newRedisSide(t)
	ctx, client := t.Context(), r.client()
	client.Set(ctx, "string", "one", 0)
	client.HSet(ctx, "hash", "field", "two")
	client.LPush(ctx, "list", "three")
	client.SAdd(ctx, "set", "four")
	client.ZAdd(ctx, "zset", redis.Z{Member: "five", Score: 5})
	texts, err := redistest.Texts(ctx, r.client())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"string": "one", "hash": "field two", "list": "three", "set": "four", "zset": "five"} {
		if !strings.Contains(strings.ReplaceAll(texts[key], ":", " "), value) {
			t.Errorf("%s is %q", key, texts[key])
		}
	}
	client.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []any{"six", 6}})
	if texts, err := redistest.Texts(ctx, r.client()); err == nil {
		t.Errorf("a stream is read as %q", texts["stream"])
	}
}
