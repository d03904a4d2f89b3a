package consumer_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"

	"github.com/redis/go-redis/v9"
)

// busiest is the most requests that came in any second within from and to.
func busiest(requests []registrytest.Request, from, to time.Time) int {
	var starts []time.Time
	for _, r := range requests {
		if !r.Start.Before(from) && r.Start.Before(to) {
			starts = append(starts, r.Start)
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	most := 0
	for i, at := range starts {
		end, _ := slices.BinarySearchFunc(starts, at.Add(time.Second), time.Time.Compare)
		most = max(most, end-i)
	}
	return most
}

// Whatever is asked of the registry, over all consumers, be one of them killed or
// Redis emptied. Half of the paths need second looks.
func TestNeverMoreRequestsInASecondThanSet(t *testing.T) {
	w := newWorldOf(t, registrytest.Options{Collation: registrytest.Glibc})
	w.projects(3000)
	w.Exec(t, `UPDATE public.routes SET path = path || '9' WHERE source_id % 2 = 0`)
	w.registry.SetLatency(5 * time.Millisecond)
	w.set("max_concurrency", "6")
	w.set("requests_per_second", "40")
	w.begin()
	w.registry.Forget()
	began := time.Now()
	w.producer()
	for range 2 {
		w.consumer()
	}
	killed := w.child()
	scanning := func(n int) func() bool {
		from := w.registry.Count()
		return func() bool { return w.registry.Count() >= from+n }
	}
	w.await("scanning is under way", scanning(100))
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	w.await("scanning goes on after a kill", scanning(100))
	w.emptySlots()
	w.await("scanning goes on after Redis lost the slots", scanning(100))
	lowered := time.Now()
	w.set("requests_per_second", "15")
	w.during(6*time.Second, "the lower rate is in force", func() bool { return true })
	raised := time.Now()
	w.set("requests_per_second", "60")
	reached := func() bool {
		return busiest(w.registry.Requests(), raised, time.Now()) > 40
	}
	w.within(5*time.Second, "the higher rate is used", reached)
	w.during(2*time.Second, "it is not exceeded", func() bool { return true })
	requests := w.registry.Requests()
	for _, part := range []struct {
		name     string
		from, to time.Time
		most     int
	}{
		{"40 a second", began, lowered, 40},
		{"2 s after it was lowered to 15", lowered.Add(2 * time.Second), raised, 15},
		{"raised to 60", raised, time.Now(), 60},
	} {
		if most := busiest(requests, part.from, part.to); most > part.most {
			t.Errorf("%s: %d requests in a second", part.name, most)
		}
	}
	if least := busiest(requests, began, lowered); least < 30 {
		t.Errorf("no second has more than %d requests, the rate was 40", least)
	}
	w.nothingFailed()
}

// emptySlots takes from Redis all that it knows of slots, as a failover may.
func (w *world) emptySlots() {
	w.t.Helper()
	ctx := w.t.Context()
	keys, err := w.redis.Keys(ctx, "regmend:slots:*").Result()
	if err == nil {
		err = w.redis.Del(ctx, keys...).Err()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// One request a second must not look like a registry that does not answer.
func TestALowRateIsNoFailure(t *testing.T) {
	w := newWorldAlone(t, registrytest.Options{})
	w.projects(200)
	w.set("batch_size", "5")
	w.set("max_concurrency", "4")
	w.set("requests_per_second", "3")
	w.set("flush_after", "1s")
	w.begin()
	w.producer()
	w.consumer()
	w.await("some are listed", func() bool { return w.counts().Completed > 0 })
	w.nothingFailed()
	if err := w.redis.Get(t.Context(), "regmend:hold:registry").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("scanning holds for the registry (%v)", err)
	}
}

func TestOutsideOfActiveHoursNothingIsAsked(t *testing.T) {
	w := newWorld(t)
	first := w.projects(2000)
	w.registry.SetLatency(10 * time.Millisecond)
	w.set("flush_after", "1s")
	run := w.begin()
	w.producer()
	w.consumer()
	w.midway()
	later := time.Now().UTC().Add(2 * time.Hour)
	w.set("active_hours", later.Format("15:04")+"-"+later.Add(time.Hour).Format("15:04")+" UTC")
	w.within(2*time.Second, "the registry is left alone", func() bool { return w.registry.InFlight() == 0 })
	closed := time.Now()
	w.during(2*time.Second, "time passes", func() bool { return true })
	id := w.enqueue("by hand", tasks.Scan{Run: run.ID, IDs: []int64{first}, After: 1 << 40})
	asked := w.registry.Count()
	w.during(2*time.Second, "nothing is asked", func() bool { return w.registry.Count() == asked })
	for _, r := range w.registry.Requests() {
		if r.Start.After(closed.Add(2 * time.Second)) {
			t.Errorf("%s was asked %s after the hours ended", r.URI, r.Start.Sub(closed))
		}
	}
	w.await("what is done is flushed", func() bool { return w.stashed() == 0 })
	w.nothingFailed()
	now := time.Now().UTC()
	w.set("active_hours", now.Add(-time.Hour).Format("15:04")+"-"+now.Add(time.Hour).Format("15:04")+" UTC")
	w.within(5*time.Second, "scanning goes on", func() bool { return w.registry.Count() > asked })
	w.result(id)
}

// rate is how many requests a second come while so long is watched.
func (w *world) rate(while time.Duration) float64 {
	before, began := w.registry.Count(), time.Now()
	w.during(while, "time passes", func() bool { return true })
	return float64(w.registry.Count()-before) / time.Since(began).Seconds()
}

func (w *world) steps() []postgres.BrakeStep {
	w.t.Helper()
	steps, err := w.DB.BrakeSteps(context.Background(), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return steps
}

// Eight consumers of two workers each share a cap of 16 before a registry that
// bears six requests at once.
func TestTheBrakeOnARealRegistry(t *testing.T) {
	w := newWorldAlone(t, registrytest.Options{})
	w.workers = 2
	w.projects(15_000)
	w.registry.SetLatency(50 * time.Millisecond)
	w.set("max_concurrency", "6")
	w.set("batch_size", "20")
	w.begin()
	w.producer()
	for range 8 {
		w.consumer()
	}
	w.await("scanning is under way", func() bool { return w.stashed() > 0 && w.registry.InFlight() == 6 })
	w.registry.SetLoad(func(n int) time.Duration {
		return time.Duration(float64(600*time.Millisecond) * max(1, float64(n)/6)) // a busy machine adds little to that
	})
	best := w.rate(15 * time.Second)
	w.set("max_concurrency", "16")
	w.set("brake", "on")
	w.await("the brake has taken slots away", func() bool {
		return slices.ContainsFunc(w.steps(), func(s postgres.BrakeStep) bool { return s.Slots < s.Was })
	})
	w.await("and given one back", func() bool { s := w.steps(); return s[0].Slots > s[0].Was && len(s) > 3 })
	settled := time.Now()
	got := w.rate(20 * time.Second)
	for _, s := range slices.Backward(w.steps()) {
		t.Logf("%s  %d → %d  %s", s.At.Format(time.TimeOnly), s.Was, s.Slots, s.Reason)
		if s.At.After(settled) && (s.Slots < 5 || s.Slots > 8) {
			t.Errorf("%d slots are left, want 5 to 8", s.Slots)
		}
		if s.Slots > 16 {
			t.Errorf("%d slots are left, max_concurrency is 16", s.Slots)
		}
	}
	t.Logf("%.0f requests a second, %.0f with a cap of 6", got, best)
	if got < 0.9*best {
		t.Errorf("%.0f requests a second, %.0f with a cap of 6", got, best)
	}
	w.nothingFailed()
}

// A 429 holds until its Retry-After, and then fewer slots are in use.
func TestARefusalHoldsAndThenHalves(t *testing.T) {
	w := newWorld(t)
	w.projects(6000)
	const latency = 100 * time.Millisecond
	w.set("brake", "on")
	w.set("max_concurrency", "8")
	w.set("batch_size", "20")
	run := w.begin()
	w.registry.SetLatency(latency)
	// It has found out before that the registry bears eight.
	found := postgres.BrakeStep{Run: run.ID, By: "test", Was: 2, Slots: 8, Usual: postgres.Latency{Small: latency}, Reason: "it is well"}
	if _, err := w.DB.TakeStep(t.Context(), 0, found); err != nil {
		t.Fatal(err)
	}
	w.producer()
	w.consumer()
	w.await("eight slots are in use", func() bool { return w.registry.InFlight() == 8 })
	w.registry.Fail(registrytest.Where{Kind: registrytest.List, Times: 1}, registrytest.TooMany("3"))
	w.await("the refusal makes all hold", w.holds("registry"))
	held := time.Now()
	w.await("the brake takes a step", func() bool { return w.steps()[0].Slots == 4 })
	if step := w.steps()[0]; step.Was != 8 || step.Reason == "" {
		t.Errorf("the step is from %d for %q", step.Was, step.Reason)
	}
	w.registry.Forget()
	w.await("scanning goes on", func() bool { return w.registry.InFlight() == 4 })
	if after := time.Since(held); after < 2*time.Second {
		t.Errorf("scanning went on after %s, Retry-After was 3 s", after)
	}
	if most := w.registry.MaxInFlight(); most > 4 {
		t.Errorf("%d requests in flight after the hold, want at most 4", most)
	}
	w.within(30*time.Second, "a slot comes back", func() bool { return w.registry.InFlight() == 5 })
	w.nothingFailed()
}

func TestWithTheBrakeOffTheCapIsUsed(t *testing.T) {
	w := newWorld(t)
	w.projects(3000)
	w.registry.SetLatency(50 * time.Millisecond)
	for _, most := range []int{12, 3} {
		w.set("max_concurrency", strconv.Itoa(most))
		if most == 12 {
			w.begin()
			w.producer()
			w.consumer()
		}
		w.within(20*time.Second, "the cap is used", func() bool { return w.registry.InFlight() == most })
	}
	if steps := w.steps(); len(steps) > 0 {
		t.Errorf("the brake took %d steps", len(steps))
	}
}

// A Redis or a Postgres that stumbles must not make the brake forget what it knows.
func TestTheBrakeRemembersThroughAnOutage(t *testing.T) {
	w := newWorld(t)
	w.projects(9000)
	w.set("max_concurrency", "8")
	w.set("brake", "on")
	w.begin()
	w.consumer()
	w.heard()
	w.registry.SetLatency(400 * time.Millisecond)
	w.producer()
	w.await("it climbs", func() bool { return len(w.steps()) > 0 })
	w.pauseRedis(func() { w.during(3*time.Second, "Redis hangs", func() bool { return true }) })
	w.await("it climbs on", func() bool { return len(w.steps()) > 1 })
	if step := w.steps()[0]; step.Was != 4 || step.Slots != 8 {
		t.Errorf("a step from %d to %d slots, want one that doubles them", step.Was, step.Slots)
	}
}
