package consumer_test

import (
	"testing"
	"time"

	"regmend/shared/registry/registrytest"
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
	w.set("batch_size", "10")
	w.projects(20)
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Repository: app(5)}, registrytest.Hold(release))
	w.begin()
	w.producer()
	w.consumer()
	w.await("the first batch has the slot", func() bool { return w.listings(app(5)) == 1 })
	scans := func() string { return w.Value(t, `SELECT last_value FROM regmend.scan_number`) }
	w.await("the second one is loaded", func() bool { return scans() == "3" }) // the run took the first
	w.Exec(t, `UPDATE public.routes SET path = 'group/renamed' WHERE path = $1`, app(15))
	w.during(3*time.Second, "the second batch waits", func() bool { return w.listings(app(11)) == 0 })
	close(release)
	w.await("all projects are completed", w.completed(20))
	if n := w.listings(app(15)); n != 0 {
		t.Errorf("the project was listed %d times by the path it had before", n)
	}
}
