package consumer_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"regmend/consumer"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
)

// capChange is a value of max_concurrency and when it was set.
type capChange struct {
	value int
	at    time.Time
}

// allowed is the largest cap in force in the two seconds before at.
func allowed(changes []capChange, at time.Time) int {
	most := 0
	for i, c := range changes {
		superseded := i+1 < len(changes) && changes[i+1].at.Before(at.Add(-2*time.Second))
		if !c.at.After(at) && !superseded {
			most = max(most, c.value)
		}
	}
	return most
}

func TestP12_NeverMoreInFlightThanTheCapAllows(t *testing.T) {
	w := newWorld(t)
	w.projects(3000)
	w.registry.SetLatency(15 * time.Millisecond)
	w.set("batch_size", "10")
	w.begin()
	w.registry.Forget()
	w.producer()
	for range 3 {
		w.consumer()
	}
	var changes []capChange
	for _, value := range []int{2, 5, 1, 4} {
		changes = append(changes, capChange{value, time.Now()})
		w.set("max_concurrency", strconv.Itoa(value))
		reached := time.Now()
		w.await("the cap is used", func() bool {
			return w.registry.InFlight() == value && time.Since(reached) > 2500*time.Millisecond
		})
	}
	w.set("max_concurrency", "0")
	zero := time.Now()
	w.await("cap 0 is in force", func() bool { return time.Since(zero) > 2*time.Second })
	stopped := w.registry.Count()
	w.during(time.Second, "nothing is asked", func() bool { return w.registry.Count() == stopped && w.registry.InFlight() == 0 })
	for _, r := range w.registry.Requests() {
		if most := allowed(changes, r.Start); r.InFlight > most {
			t.Fatalf("%d requests in flight at %s, at most %d were allowed", r.InFlight, r.Start, most)
		}
	}
	if w.counts().Pending == 0 {
		t.Fatal("nothing was left to scan")
	}
	w.set("max_concurrency", "2")
	w.within(5*time.Second, "scanning goes on", func() bool { return w.registry.Count() > stopped })
	w.nothingFailed()
}

func TestP13_TheFlagStopsAndStarts(t *testing.T) {
	w := newWorld(t)
	const projects = 60
	w.projects(projects)
	w.set("flush_after", "1s")
	w.set("max_concurrency", "1")
	mend := w.registry.Fail(registrytest.Where{Repository: app(45)}, registrytest.Hang())
	w.begin()
	w.producer()
	w.consumer()
	w.await("a listing hangs", func() bool { return w.listings(app(45)) == 1 })
	w.set("scan_enabled", "false")
	w.within(2*time.Second, "the listing is abandoned", func() bool { return w.registry.InFlight() == 0 })
	w.await("what is done is flushed", func() bool { return w.counts().Completed+w.counts().Looked >= 40 })
	asked := w.registry.Count()
	w.during(2*time.Second, "nothing is asked", func() bool { return w.registry.Count() == asked })
	w.nothingFailed()
	mend()
	w.set("scan_enabled", "true")
	w.await("all projects are completed", w.completed(projects))
	w.checkApps(projects)
}

func TestP14_AStopIsQuickAndKeepsWhatIsDone(t *testing.T) {
	w := newWorld(t)
	const projects = 60
	w.projects(projects)
	w.set("flush_after", "10m")
	w.set("max_concurrency", "1")
	w.registry.Fail(registrytest.Where{Repository: app(45)}, registrytest.Hang())
	w.begin()
	w.producer()
	c := w.consumer()
	w.await("a listing hangs", func() bool { return w.listings(app(45)) == 1 })
	began := time.Now()
	if err := c.end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	// 40 holds something, so the empty listings before it are to be believed.
	if got := w.counts(); got.Completed+got.Looked != 40 {
		t.Errorf("%d projects are completed and %d looked at, want 40", got.Completed, got.Looked)
	}
	w.nothingFailed()
}

func TestP14_WithoutRedisAStopSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*world, func()){
		"Redis hangs": (*world).pauseRedis,
		"Redis is gone": func(w *world, f func()) {
			if err := w.redisServer.Kill(); err != nil {
				w.t.Fatal(err)
			}
			f()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.projects(60)
			w.set("max_concurrency", "1")
			release := make(chan struct{})
			w.registry.Fail(registrytest.Where{Repository: app(45)}, registrytest.Hold(release))
			w.begin()
			w.producer()
			c := w.consumer()
			w.await("a listing hangs", func() bool { return w.listings(app(45)) == 1 })
			away(w, func() {
				began := time.Now()
				if err := c.end(); !errors.Is(err, consumer.ErrNotStashed) {
					t.Errorf("it ended with %v, want ErrNotStashed", err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// interruption is a way to end a scan that is no fault of it.
type interruption func(w *world, c *running) (resume func())

func TestP8_AnInterruptedBatchGoesOnWithWhatIsNotDone(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]interruption{
		"the process stops": func(w *world, c *running) func() {
			if err := c.end(); err != nil {
				w.t.Error(err)
			}
			return func() { w.consumer() }
		},
		"the slot is lost": func(w *world, _ *running) func() {
			if err := w.redis.Del(w.t.Context(), "regmend:slots:held").Err(); err != nil {
				w.t.Error(err)
			}
			return func() {}
		},
		"the cap is cut": func(w *world, _ *running) func() {
			w.set("max_concurrency", "0")
			return func() { w.set("max_concurrency", "1") }
		},
		"the flag is off": func(w *world, _ *running) func() {
			w.set("scan_enabled", "false")
			return func() { w.set("scan_enabled", "true") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			const projects = 60
			var scan tasks.Scan
			for i := range projects {
				id := w.Project(t, app(i))
				w.pushed(id, app(i), "") // so that each listing can be believed
				scan.IDs = append(scan.IDs, id)
			}
			w.set("max_concurrency", "1")
			w.set("flush_after", "10m")
			scan.Run = w.begin().ID
			c := w.consumer()
			w.await("the witness was heard", func() bool { return w.redis.Exists(t.Context(), "regmend:witness").Val() == 1 })
			w.registry.Forget()
			w.registry.Fail(registrytest.Where{Repository: app(40), Times: 1}, registrytest.Hang())
			id := w.enqueue("batch", scan)
			w.await("the batch is under way", func() bool { return w.listings(app(40)) == 1 })
			resume := interrupt(w, c)
			w.await("what was listed is kept", func() bool { return w.stashed()+int(w.counts().Completed) >= 40 })
			resume()
			w.result(id)
			for i := range projects {
				want := 1
				if i == 40 {
					want = 2
				}
				if n := w.listings(app(i)); n != want {
					t.Errorf("%s was listed %d times, want %d", app(i), n, want)
				}
			}
			w.nothingFailed()
		})
	}
}

func TestForceBesideThePeriodicScan(t *testing.T) {
	w := newWorld(t)
	const projects = 30
	first := w.projects(projects)
	run := w.begin()
	w.registry.SetLatency(5 * time.Millisecond)
	w.set("flush_after", "1s")
	var ids []int64
	for i := range projects {
		ids = append(ids, first+int64(i))
	}
	w.producer()
	w.consumer()
	w.await("the periodic scan is under way", func() bool { return w.listings(app(5)) > 0 })
	state, err := w.DB.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forced := w.result(w.enqueue("force", tasks.Scan{Run: run.ID, IDs: ids, After: state.Scan}))
	if got, want := forced.Completed+forced.Looked+forced.Done, projects; got != want {
		t.Errorf("forced: %+v, want %d scanned or found done since", forced, want)
	}
	w.await("all is written", func() bool { return w.stashed() == 0 && w.counts().Completed == projects })
	older := w.Value(t, `SELECT count(*) FROM regmend.data_repair_details WHERE scan_number <= $1`, state.Scan)
	if diff := cmp.Diff("0", older); diff != "" {
		t.Errorf("results older than the force (-want +got):\n%s", diff)
	}
	w.checkApps(projects)
}
