package consumer_test

import (
	"fmt"
	"testing"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

// Empty listings have to be proven, and where each takes long a proof for every few
// would double what is asked.
func TestASlowRegistryIsAskedForFewProofs(t *testing.T) {
	w := newWorld(t)
	known := w.Project(t, "group/known")
	w.pushed(known, "group/known", "")
	var scan tasks.Scan
	for i := range 30 {
		scan.IDs = append(scan.IDs, w.Project(t, fmt.Sprintf("group/empty%dx", i)))
	}
	w.set("max_concurrency", "1")
	scan.Run = w.begin().ID
	w.consumer()
	w.heard()
	w.registry.SetLatency(300 * time.Millisecond)
	w.registry.Forget()
	if got := w.result(w.enqueue("batch", scan)); got.Completed != 30 {
		t.Fatalf("%d of 30 projects are completed", got.Completed)
	}
	if n := w.listings("group/known"); n > 3 {
		t.Errorf("%d proofs were asked for, of 30 listings", n)
	}
}

// The witness is heard every few minutes, and must not use a low rate up.
func TestUnderALowRateTheWitnessIsBrief(t *testing.T) {
	w := newWorld(t)
	w.projects(2000) // of which GitLab knows 200 repositories
	w.set("requests_per_second", "2")
	w.begin()
	w.registry.Forget()
	w.consumer()
	w.heard()
	if n := w.registry.Count(); n > 25 {
		t.Errorf("%d requests were sent for the witness", n)
	}
}

// P14, in each kind of waiting.
func TestP14_AStopWhileSomethingIsWaitedForIsQuick(t *testing.T) {
	t.Parallel()
	soon := time.Now().UTC().Add(2 * time.Hour)
	for name, test := range map[string]struct{ key, value string }{
		"for the rate":         {"requests_per_second", "1"},
		"for the active hours": {"active_hours", soon.Format("15:04") + "-" + soon.Add(time.Hour).Format("15:04") + " UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.projects(300)
			w.set("max_concurrency", "4")
			w.set("batch_size", "20")
			w.registry.SetLatency(10 * time.Millisecond)
			w.begin()
			w.producer()
			c := w.consumer()
			w.await("scanning is under way", func() bool { return len(w.registry.Requests(registrytest.List)) > 20 })
			w.set(test.key, test.value)
			w.during(3*time.Second, "it is in force", func() bool { return true })
			asked := w.registry.Count()
			began := time.Now()
			if err := c.end(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := w.registry.Count() - asked; n > 6 {
				t.Errorf("%d requests were sent meanwhile", n)
			}
			w.nothingFailed()
		})
	}
}

// A sweep's requests are of the same rate as the scans', and spend it one by one.
func TestASweepKeepsToTheRate(t *testing.T) {
	w := newWorld(t)
	w.projects(1500)
	w.set("requests_per_second", "10")
	w.set("max_concurrency", "4")
	w.set("strategy", "sweep")
	w.begin()
	w.registry.Forget()
	began := time.Now()
	w.producer()
	w.consumer()
	w.await("the candidates are asked for their tags", func() bool { return len(w.registry.Requests(registrytest.Tags)) > 60 })
	requests := w.registry.Requests()
	if most := busiest(requests, began, time.Now()); most > 10 {
		t.Errorf("%d requests in a second, want at most 10", most)
	}
	if len(w.registry.Requests(registrytest.Catalog)) == 0 {
		t.Error("the catalog was not read")
	}
	w.nothingFailed()
}
