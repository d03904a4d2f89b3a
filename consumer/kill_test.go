package consumer_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

func TestP11_ABatchOfAKilledConsumerRunsAgain(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{} // the ones in use
	first := w.projects(40)
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Repository: app(15)}, registrytest.Hold(release))
	run := w.begin()
	victim := w.child()
	w.enqueue("scanning", tasks.Scan{Run: run.ID, IDs: []int64{first, first + 14, first + 1}})
	w.await("the batch is being scanned", func() bool { return w.listings(app(15)) == 1 })
	w.consumer()
	w.await("the other consumer is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	w.killedBatchEnds(victim.Kill, release)
	if !w.batchDone("scanning") {
		t.Error("the batch was not done")
	}
}

func TestP11_ABatchThatWaitedInAKilledConsumerRunsAgain(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{}
	first := w.projects(40)
	w.set("max_concurrency", "1")
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Repository: app(15)}, registrytest.Hold(release))
	run := w.begin()
	w.consumer()
	w.enqueue("scanning", tasks.Scan{Run: run.ID, IDs: []int64{first + 14}})
	w.await("the slot is taken", func() bool { return w.listings(app(15)) == 1 })
	victim := w.child()
	w.await("the victim is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	// More than the living one has workers for.
	for i := range 20 {
		w.enqueue("waiting"+string(rune('a'+i)), tasks.Scan{Run: run.ID, IDs: []int64{first}})
	}
	w.await("all batches are claimed", func() bool { return w.redis.HLen(t.Context(), "regmend:claims").Val() == 21 })
	w.killedBatchEnds(victim.Kill, release)
	for i := range 20 {
		w.await("every batch is done", func() bool { return w.batchDone("waiting" + string(rune('a'+i))) })
	}
}

// What operators enqueued meanwhile, by the hour, does not delay it.
func TestP11_ABatchOfAKilledConsumerGoesFirst(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{}
	first := w.projects(40)
	w.set("max_concurrency", "1")
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Repository: app(15)}, registrytest.Hold(release))
	run := w.begin()
	victim := w.child()
	w.enqueue("scanning", tasks.Scan{Run: run.ID, IDs: []int64{first + 14}})
	w.await("the batch is being scanned", func() bool { return w.listings(app(15)) == 1 })
	w.registry.SetLatency(500 * time.Millisecond)
	for i := range 200 {
		w.enqueue(fmt.Sprint("hours", i), tasks.Scan{Run: run.ID, After: 1 << 40, IDs: []int64{first}})
	}
	w.consumer()
	w.await("the other consumer is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	close(release)
	w.within(30*time.Second, "the batch is done", func() bool { return w.batchDone("scanning") })
	if w.redis.LLen(t.Context(), "asynq:{adhoc}:pending").Val() == 0 {
		t.Error("nothing waited any more: this shows nothing")
	}
}

// Whoever is alive takes the dead one's batches in hand, although each of its
// own workers waits for a slot.
func TestP11_ABatchOfAKilledConsumerIsTakenByABusyOne(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{}
	first := w.projects(40)
	w.set("max_concurrency", "1")
	release := make(chan struct{})
	defer close(release)
	w.registry.Fail(registrytest.Where{Repository: app(15)}, registrytest.Hold(release))
	run := w.begin()
	w.enqueue("scanning", tasks.Scan{Run: run.ID, IDs: []int64{first + 14}})
	w.consumer()
	w.await("the slot is taken", func() bool { return w.listings(app(15)) == 1 })
	const workers = 16
	enqueue := func(from, to int) {
		for i := from; i < to; i++ {
			w.enqueue(fmt.Sprint("waiting", i), tasks.Scan{Run: run.ID, IDs: []int64{first}})
		}
		w.await("all batches are claimed", func() bool { return len(w.claimants()) == to })
	}
	enqueue(1, workers)
	living := w.claimants()["scanning"]
	victim := w.child()
	enqueue(workers, 2*workers)
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	w.within(20*time.Second, "the living one has every batch in hand", func() bool {
		for _, process := range w.claimants() {
			if process != living {
				return false
			}
		}
		return true
	})
}

// claimants are the processes that have batches in hand, by the batches' names.
func (w *world) claimants() map[string]string {
	w.t.Helper()
	texts, err := w.redis.HGetAll(w.t.Context(), "regmend:claims").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	processes := map[string]string{}
	for batch, text := range texts {
		var claim struct{ Process string }
		if err := json.Unmarshal([]byte(text), &claim); err != nil {
			w.t.Fatal(err)
		}
		processes[batch] = claim.Process
	}
	return processes
}

// One consumer looks for known repositories before anybody scans.
func TestP11_AKilledConsumerThatTriesForAllIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{}
	w.projects(40)
	hang := w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Hang())
	w.begin()
	victim := w.child()
	holder := func() string { return w.redis.Get(t.Context(), "regmend:lock:mend").Val() }
	w.await("the victim looks for known repositories", func() bool { return holder() != "" && w.registry.InFlight() == 1 })
	first := holder()
	w.consumer()
	w.await("the other consumer is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	w.during(6*time.Second, "the victim keeps the lock while it tries", func() bool { return holder() == first })
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	hang()
	w.producer()
	w.within(15*time.Second, "all projects are completed", w.completed(40))
}

// killedBatchEnds kills, lets the registry answer, and expects all batches to
// end in time.
func (w *world) killedBatchEnds(kill func() error, release chan struct{}) {
	w.t.Helper()
	if err := kill(); err != nil {
		w.t.Fatal(err)
	}
	close(release)
	w.within(20*time.Second, "no batch is claimed any more: all are done", func() bool {
		ctx := w.t.Context()
		return w.redis.HLen(ctx, "regmend:claims").Val() == 0 && w.redis.LLen(ctx, "asynq:{adhoc}:pending").Val() == 0 &&
			w.redis.LLen(ctx, "asynq:{rescue}:pending").Val() == 0
	})
}

// batchDone tells whether some generation of the batch was completed.
func (w *world) batchDone(name string) bool {
	for generation := range 4 {
		id := tasks.Batch{Name: name, Generation: generation}.String()
		for _, queue := range []string{tasks.QueueAdhoc, tasks.QueueRescue} {
			if w.redis.ZScore(w.t.Context(), "asynq:{"+queue+"}:completed", id).Err() == nil {
				return true
			}
		}
	}
	return false
}
