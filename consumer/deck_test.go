package consumer_test

import (
	"testing"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

// heard waits until nothing but work is missing for scanning to begin.
func (w *world) heard() {
	w.t.Helper()
	w.await("the witness has been heard", func() bool { return w.redis.Exists(w.t.Context(), "regmend:witness").Val() == 1 })
}

// Without it these results would wait for ten minutes.
func TestResultsAreFlushedWhenNothingMoreComes(t *testing.T) {
	w := newWorld(t)
	w.set("flush_after", "10m")
	w.projects(30)
	w.begin()
	w.producer()
	w.consumer()
	w.within(20*time.Second, "the results are in the table", w.completed(30))
}

func TestASlotIsFreeWhilePostgresIsAskedAboutItsBatch(t *testing.T) {
	w := newWorld(t)
	w.set("max_concurrency", "1")
	w.set("batch_size", "10")
	w.projects(20)
	w.begin()
	w.consumer()
	w.heard()
	locked, err := w.SQL.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Rollback() //nolint:errcheck // it is over by then
	if _, err := locked.ExecContext(t.Context(), `LOCK TABLE public.container_repositories IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	w.producer()
	w.within(10*time.Second, "the next batch is listed", func() bool { return w.listings(app(20)) == 1 })
	if err := locked.Rollback(); err != nil {
		t.Fatal(err)
	}
	w.await("all projects are completed", w.completed(20))
}

func TestWhatWaitedForASlotIsLoadedAgain(t *testing.T) {
	w := newWorld(t)
	w.set("max_concurrency", "1")
	first := w.projects(20)
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Repository: app(5)}, registrytest.Hold(release))
	run := w.begin()
	w.consumer()
	w.enqueue("first", tasks.Scan{Run: run.ID, IDs: tenFrom(first)})
	w.await("the first batch has the slot", func() bool { return w.listings(app(5)) == 1 })
	loaded := w.Value(t, `SELECT last_value FROM regmend.scan_number`)
	w.enqueue("second", tasks.Scan{Run: run.ID, IDs: tenFrom(first + 10)})
	w.await("the second one is loaded", func() bool {
		return w.Value(t, `SELECT last_value FROM regmend.scan_number`) != loaded
	})
	w.Exec(t, `UPDATE public.routes SET path = 'group/renamed' WHERE path = $1`, app(15))
	w.during(3*time.Second, "the second batch waits", func() bool { return w.listings(app(11)) == 0 })
	close(release)
	w.await("all projects are completed", w.completed(20))
	if n := w.listings(app(15)); n != 0 {
		t.Errorf("the project was listed %d times by the path it had before", n)
	}
}

func tenFrom(first int64) []int64 {
	ids := make([]int64, 10)
	for i := range ids {
		ids[i] = first + int64(i)
	}
	return ids
}

func TestWhatOperatorsEnqueueGoesFirst(t *testing.T) {
	w := newWorld(t)
	w.set("max_concurrency", "1")
	w.set("batch_size", "10")
	first := w.projects(120)
	run := w.begin()
	w.consumer()
	w.heard()
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Hold(release))
	w.producer()
	inHand := func(n int64) func() bool {
		return func() bool { return w.redis.HLen(t.Context(), "regmend:claims").Val() == n }
	}
	w.await("all batches are in hand", inHand(12))
	w.enqueue("adhoc", tasks.Scan{Run: run.ID, IDs: tenFrom(first + 110)})
	w.await("the operator's is, too", inHand(13))
	close(release)
	w.await("all projects are completed", w.completed(120))
	before := 0
	for _, r := range w.registry.Requests(registrytest.List) {
		if r.Repository == app(111) {
			break
		}
		before++
	}
	// Of the batch that had the slot, the one that was next, and what the witness asked.
	if before > 40 {
		t.Errorf("%d listings were made before the operator's batch", before)
	}
}
