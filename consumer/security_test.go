package consumer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

func (w *world) completedScan(project int64, path string, run, scan int64, missing ...string) gitlab.Result {
	return gitlab.Result{
		Run: run, Scan: scan, Project: gitlab.Project{ID: project, FullPath: path}, Status: gitlab.Completed,
		Missing: missing, Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: len(missing)},
	}
}

// A result that no scan of this database's can have made keeps no other from
// being written.
func TestFlush_ANumberNeverGivenOutIsDropped(t *testing.T) {
	w := newWorld(t)
	run := w.begin()
	forged, honest := w.Project(t, app(1)), w.Project(t, app(2))
	w.set("scan_enabled", "false")
	w.set("flush_after", "1s")
	w.Exec(t, `SELECT setval('regmend.scan_number', $1)`, run.Scan+10)
	w.put(w.completedScan(forged, app(1), run.ID, 1<<50, "x"))
	w.put(w.completedScan(honest, app(2), run.ID, run.Scan+10, "y"))
	w.consumer()
	w.await("the stash is empty", func() bool { return w.stashed() == 0 })
	if got := w.Value(t, `SELECT string_agg(name, ',') FROM regmend.missing_repositories`); got != "y" {
		t.Errorf("missing: %s, want that of the honest scan", got)
	}
}

// What Redis holds may be forged, within what the table's constraints allow:
// SECURITY.md says so, and this is what it means.
func TestAForgedResultIsWrittenUntilTheNextScan(t *testing.T) {
	w := newWorld(t)
	run := w.begin()
	w.registry.Push(app(1)+"/lost", "v1")
	id := w.Project(t, app(1))
	w.set("scan_enabled", "false")
	w.set("flush_after", "1s")
	w.Exec(t, `SELECT setval('regmend.scan_number', $1)`, run.Scan+10)
	w.put(w.completedScan(id, app(1), run.ID, run.Scan+10))
	w.consumer()
	w.await("it is written", func() bool { return w.counts().Completed == 1 })
	w.set("scan_enabled", "true")
	w.enqueue("again", tasks.Scan{Run: run.ID, IDs: []int64{id}, After: run.Scan + 10})
	w.await("the truth replaces it", func() bool {
		return w.Value(t, `SELECT coalesce(max(name), '') FROM regmend.missing_repositories`) == "lost"
	})
}

// Whoever owns Redis can take slots away from those who hold them, but each
// consumer holds no more batches than it has workers.
func TestWithForgedSlotsAConsumerScansNoMoreThanItsWorkers(t *testing.T) {
	w := newWorld(t)
	w.projects(2000)
	w.set("batch_size", "10")
	w.registry.SetLatency(200 * time.Millisecond)
	w.begin()
	w.registry.Forget()
	w.producer()
	w.consumer()
	w.await("it scans", func() bool { return w.registry.InFlight() > 0 })
	w.during(5*time.Second, "no more than 16 requests at once", func() bool {
		w.redis.Del(t.Context(), "regmend:slots:held", "regmend:slots:age")
		return w.registry.InFlight() <= 16
	})
}

// Tasks that are none of ours end nothing: what is ours goes on beside them.
func TestMalformedTasksAreGivenUp(t *testing.T) {
	w := newWorld(t)
	run := w.begin()
	id := w.Project(t, app(1))
	c := w.consumer()
	client := asynq.NewClientFromRedisClient(w.redis)
	n := 0
	for _, payload := range []string{
		"", "null", "{", `{"run":1}`, "\xff\x00", `{"run":1,"ids":[-1],"after":0}`,
		strings.Repeat("[", 1<<20), `{"run":1,"ids":[` + strings.Repeat("1,", 1<<20) + `1],"after":0}`,
	} {
		for _, kind := range []string{tasks.TypeScan, tasks.TypeFlush, "none of ours"} {
			n++
			queue := []string{tasks.QueueAdhoc, tasks.QueueFlush}[n%2]
			task := asynq.NewTask(kind, []byte(payload), asynq.Queue(queue), asynq.TaskID(fmt.Sprintf("\x1b[31m%d", n)), asynq.MaxRetry(0))
			if _, err := client.EnqueueContext(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.enqueue("honest", tasks.Scan{Run: run.ID, IDs: []int64{id}})
	w.await("the honest one is done", w.completed(1))
	if err := c.end(); err != nil {
		t.Errorf("the consumer ended with %v", err)
	}
}

// A registry that goes on and on with names that nobody has does not fill the
// memory of those who ask.
func TestAnEndlessListingIsAFailureOfItsProject(t *testing.T) {
	w := newWorld(t)
	w.projects(20)
	page := 0
	w.registry.Fail(registrytest.Where{Kind: registrytest.List, Repository: app(15)}, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			page++
			endless(rw, req, app(15), page)
		})
	})
	w.begin()
	w.producer()
	w.consumer()
	w.await("every project has its result", func() bool { return w.counts().Pending == 0 })
	if got := w.failure(app(15)); !strings.Contains(got, "more repositories of this project than can be held") {
		t.Errorf("the failure is %q", got)
	}
	if most := (16 << 20) / (1000 * 900); page > most+10 {
		t.Errorf("%d pages were read, about %d fit", page, most)
	}
}

// endless is a page of a thousand long names, and a link to the next one.
func endless(rw http.ResponseWriter, req *http.Request, path string, page int) {
	rw.Header().Set("Link", fmt.Sprintf(`<%s?n=1000&last=%d>; rel="next"`, req.URL.Path, page))
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf(`{"path":"%s/%d-%d-%s"}`, path, page, i, strings.Repeat("x", 900))
	}
	_, _ = fmt.Fprintf(rw, "[%s]", strings.Join(names, ",")) // the client has gone
}

// A hold that nobody of ours put up ends as others do: when the registry works.
func TestAForgedHoldEndsWhenTheRegistryWorks(t *testing.T) {
	w := newWorld(t)
	w.projects(20)
	w.begin()
	forged := `{"kind":"registry","reason":"\u001b[31mforged","since":"2001-01-01T00:00:00Z","until":"2999-01-01T00:00:00Z"}`
	if err := w.redis.Set(t.Context(), "regmend:hold:registry", forged, 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.producer()
	w.consumer()
	w.await("all projects are completed", w.completed(20))
}

// The control's path comes from Redis, and goes into a request.
func TestAForgedControlAsksNothingElseOfTheRegistry(t *testing.T) {
	w := newWorld(t)
	w.projects(20)
	run := w.begin()
	forged := `{"run":` + fmt.Sprint(run.ID) + `,"path":"../../../v2/secret/manifests"}`
	forge := func() bool {
		return w.redis.Set(t.Context(), "regmend:control", forged, 0).Err() == nil
	}
	mend := w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
	w.producer()
	w.consumer()
	w.await("it holds", func() bool { return forge() && w.hold().Reason != "" })
	w.during(3*time.Second, "the control stays forged", forge)
	mend()
	w.await("all projects are completed", func() bool { return forge() && w.completed(20)() })
	for _, req := range w.registry.Requests() {
		if strings.Contains(req.URI, "..") || strings.Contains(req.URI, "secret") {
			t.Fatalf("%s was asked", req.URI)
		}
	}
}
