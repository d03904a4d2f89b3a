package consumer_test

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/registry/registrytest"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// tally counts round trips to Redis; those for slots, of which there are as many
// as it takes to wait for one, apart.
type tally struct{ trips, slots atomic.Int64 }

func (c *tally) count(cmds ...redis.Cmder) {
	for _, arg := range cmds[0].Args() {
		if key, ok := arg.(string); ok && strings.HasPrefix(key, "regmend:slots:") {
			c.slots.Add(1)
			return
		}
	}
	c.trips.Add(1)
}

func (c *tally) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *tally) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count(cmd)
		return next(ctx, cmd)
	}
}

func (c *tally) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.count(cmds...)
		return next(ctx, cmds)
	}
}

// perSecond counts the round trips of processes that have nothing to do.
func (c *tally) perSecond() float64 {
	const watched = 3 * time.Second
	before := c.trips.Load() + c.slots.Load()
	time.Sleep(watched)
	return float64(c.trips.Load()+c.slots.Load()-before) / watched.Seconds()
}

func (w *world) transactions() int64 {
	w.t.Helper()
	n, err := strconv.ParseInt(w.Value(w.t, `SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`), 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// The queue and the database must not cost more than the registry.
func TestCost_OfAProject(t *testing.T) {
	w := newWorldAlone(t, registrytest.Options{})
	const projects = 5000
	w.set("flush_after", "10m")
	w.set("stash_limit", "10000")
	w.projects(projects)
	counted := &tally{}
	w.begin()
	w.set("scan_enabled", "false")
	w.producer()
	w.hook = counted
	w.consumer()
	w.await("they have begun", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	idle := counted.perSecond()
	if idle > 20 { // by the clock; a busy loop makes hundreds
		t.Errorf("%.0f round trips a second with nothing to do", idle)
	}
	w.set("scan_enabled", "true")
	w.await("scanning begins", func() bool { return w.stashed() > 0 })
	trips, transactions, began := counted.trips.Load(), w.transactions(), time.Now()
	from := w.stashed()
	// While something is stashed the database is not asked: that would count, too.
	w.await("all are scanned", func() bool { n := w.stashed(); return n == projects || n == 0 && w.completed(projects)() })
	took := time.Since(began).Seconds()
	// What an idle process does is by the second, not by the project.
	perProject := (float64(counted.trips.Load()-trips) - idle*took) / float64(projects-from)
	t.Logf("idle %.1f/s; %.1f s; %.3f round trips a project", idle, took, perProject)
	// A slow machine stashes a batch more than once, as is done each second.
	if perProject > 0.15 {
		t.Errorf("%.3f round trips to Redis a project, want at most 0.15", perProject)
	}
	if statements := float64(w.transactions()-transactions) / projects; statements > 0.1 {
		t.Errorf("%.3f transactions a project, want at most 0.1", statements)
	}
}

func TestCost_OfAHold(t *testing.T) {
	w := newWorld(t)
	w.projects(3000)
	w.begin()
	w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
	lines := &lineCounter{}
	log := logrus.New()
	log.SetOutput(lines)
	w.log = log
	w.producer()
	counted := &tally{}
	w.hook = counted
	w.consumer()
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	w.await("all workers have a batch", func() bool { return w.redis.HLen(t.Context(), "regmend:claims").Val() == 16 })
	before, asked := lines.n.Load(), w.registry.Count()
	if rate := counted.perSecond(); rate > 80 { // by the clock, the polls for a slot included; a busy loop makes hundreds
		t.Errorf("%.0f round trips a second while held", rate)
	}
	if n := lines.n.Load() - before; n > 3 {
		t.Errorf("%d lines were logged in three seconds of holding", n)
	}
	if n := w.registry.Count() - asked; n > 6 {
		t.Errorf("%d requests in three seconds of holding", n)
	}
}

// lineCounter counts what is logged.
type lineCounter struct{ n atomic.Int64 }

func (c *lineCounter) Write(line []byte) (int, error) {
	c.n.Add(1)
	return len(line), nil
}
