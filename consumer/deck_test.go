package consumer_test

import (
	"fmt"
	"testing"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"

	"github.com/lib/pq"
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
	w.projects(20)
	release := w.twoBatches()
	locked, err := w.SQL.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Rollback() //nolint:errcheck // it is over by then
	if _, err := locked.ExecContext(t.Context(), `LOCK TABLE public.container_repositories IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	close(release)
	w.within(10*time.Second, "the next batch is listed", func() bool { return w.listings(app(20)) == 1 })
	if err := locked.Rollback(); err != nil {
		t.Fatal(err)
	}
	w.await("all projects are completed", w.completed(20))
}

// twoBatches enqueues two batches of ten projects: the first has the only slot
// until release is closed, the second is loaded and waits.
func (w *world) twoBatches() (release chan struct{}) {
	w.t.Helper()
	release = make(chan struct{})
	w.registry.Fail(registrytest.Where{Repository: app(5)}, registrytest.Hold(release))
	run := w.begin()
	w.consumer()
	scans := func() string { return w.Value(w.t, `SELECT last_value FROM regmend.scan_number`) }
	for batch, last := range []int{10, 20} {
		before := scans()
		var ids pq.Int64Array
		err := w.SQL.GetContext(w.t.Context(), &ids, `SELECT array_agg(id ORDER BY id) FROM public.projects WHERE name::int > $1 AND name::int <= $2`, last-10, last)
		if err != nil {
			w.t.Fatal(err)
		}
		w.enqueue(fmt.Sprint("batch", batch), tasks.Scan{Run: run.ID, IDs: ids})
		w.await("the batch is loaded", func() bool { return scans() != before })
		w.await("the first one has the slot", func() bool { return w.listings(app(5)) == 1 })
		if batch == 0 {
			w.during(1200*time.Millisecond, "it has had it for longer than listings wait to be judged", func() bool { return w.listings(app(6)) == 0 })
		}
	}
	return release
}

func TestWhatWaitedForASlotIsLoadedAgain(t *testing.T) {
	w := newWorld(t)
	w.set("max_concurrency", "1")
	w.projects(20)
	release := w.twoBatches()
	w.Exec(t, `UPDATE public.routes SET path = 'group/renamed' WHERE path = $1`, app(15))
	w.during(3*time.Second, "the second batch waits", func() bool { return w.listings(app(11)) == 0 })
	close(release)
	w.await("all projects are completed", w.completed(20))
	if n := w.listings(app(15)); n != 0 {
		t.Errorf("the project was listed %d times by the path it had before", n)
	}
}

func TestWhatOperatorsEnqueueGoesFirst(t *testing.T) {
	w := newWorld(t)
	w.set("max_concurrency", "1")
	w.set("batch_size", "10")
	last := w.projects(120) + 119
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
	w.enqueue("adhoc", tasks.Scan{Run: run.ID, IDs: []int64{last}})
	w.await("the operator's is, too", inHand(13))
	close(release)
	w.await("all projects are completed", w.completed(120))
	before := 0
	for _, r := range w.registry.Requests(registrytest.List) {
		if r.Repository == app(120) {
			break
		}
		before++
	}
	// Of the batch that had the slot, the one that was next, and what the witness asked.
	if before > 40 {
		t.Errorf("%d listings were made before the operator's batch", before)
	}
}

// A batch with a project that is known to have repositories proves its empty
// listings by itself.
func TestAProjectWithRepositoriesIsListedLast(t *testing.T) {
	w := newWorld(t)
	w.set("batch_size", "15")
	w.projects(60)
	w.begin()
	w.producer()
	w.consumer()
	w.await("all projects are completed", w.completed(60))
	for i := 1; i <= 60; i++ {
		want := 1
		if i%10 == 0 {
			want = 2 // something is missing, which takes two looks
		}
		// A repository's own listing is asked for by the witness, the control is not.
		if n := w.listings(app(i)); n != want {
			t.Errorf("%s was listed %d times, want %d", app(i), n, want)
		}
	}
}
