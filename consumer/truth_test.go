package consumer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

func TestP1_RedisLosesEverythingInMidRun(t *testing.T) {
	w := newWorld(t)
	const projects = 600
	w.projects(projects)
	w.registry.SetLatency(8 * time.Millisecond)
	w.set("flush_after", "1s")
	w.set("batch_size", "20")
	w.begin()
	w.producer()
	w.consumer()
	w.consumer()
	w.midway()
	if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if left := w.counts().Pending; left < 50 {
		t.Fatalf("only %d projects were pending when Redis lost everything", left)
	}
	w.await("all projects are completed", w.completed(projects))
	w.checkApps(projects)
}

func TestP1_ALostStashIsScannedAgain(t *testing.T) {
	w := newWorld(t)
	const projects = 60
	w.projects(projects)
	w.set("flush_after", "10m")
	w.begin()
	w.producer()
	w.consumer()
	w.await("all results are stashed", func() bool { return w.stashed() == projects })
	if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w.set("flush_after", "1s")
	w.await("all projects are completed", w.completed(projects))
	w.checkApps(projects)
}

func TestP3_NoBadAnswerReplacesAGoodRowOrMakesOne(t *testing.T) {
	w := newWorld(t)
	first := w.projects(20)
	run := w.begin()
	w.set("flush_after", "1s")
	w.consumer()
	// app10 has a good row, app20 has none yet.
	w.result(w.enqueue("good", tasks.Scan{Run: run.ID, IDs: []int64{first + 9, first}}))
	w.await("the good row", w.completed(2))
	for name, fault := range map[string]registrytest.Fault{
		"HTML with status 200":     registrytest.HTML(),
		"null with status 200":     registrytest.Null(),
		"an empty body":            registrytest.Body(""),
		"a cut body":               registrytest.CutAt(20),
		"a Link back to this page": registrytest.RepeatPage(),
		"500":                      registrytest.Status(http.StatusInternalServerError, "UNKNOWN"),
		"204":                      registrytest.Status(http.StatusNoContent, ""),
		"a redirect":               registrytest.Redirect("http://elsewhere.example.com/"),
	} {
		for _, path := range []string{app(10), app(20)} {
			defer w.registry.Fail(registrytest.Where{Kind: registrytest.List, Repository: path}, fault)()
		}
		state, err := w.DB.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id := strings.ReplaceAll(name, " ", "-")
		got := w.result(w.enqueue(id, tasks.Scan{Run: run.ID, IDs: []int64{first + 9, first + 19}, After: state.Scan}))
		if got.Completed != 0 || got.Failed != 2 {
			t.Errorf("%s: %+v, want 2 failed", name, got)
		}
	}
	w.await("the failures are written", func() bool { return w.stashed() == 0 })
	const rows = `SELECT string_agg(status || ' ' || missing_count || ' ' || (error IS NOT NULL), ', ' ORDER BY project_id)
		FROM regmend.data_repair_details WHERE project_id IN ($1, $2)`
	if got, want := w.Value(t, rows, first+9, first+19), "completed 1 true, failed 0 true"; got != want {
		t.Errorf("rows are %q, want %q", got, want)
	}
}

func TestP4_ARowMadeWhileTheListingIsAnsweredCounts(t *testing.T) {
	w := newWorld(t)
	id := w.Project(t, "group/app")
	w.lost("group/app", "new")
	w.registry.Hook(func(_ http.ResponseWriter, req *http.Request, _ int) bool {
		if strings.Contains(req.URL.Path, "/group/app/repositories/list") {
			w.Exec(t, `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
				VALUES ($1, 'new', now(), now()) ON CONFLICT DO NOTHING`, id)
		}
		return false
	})
	w.begin()
	w.producer()
	w.consumer()
	w.await("the project is completed", w.completed(1))
	if got := w.counts().MissingTotal; got != 0 {
		t.Errorf("%d missing, want 0: the row was there before the listing ended", got)
	}
}

func TestP4_AStandbyIsNotScannedFor(t *testing.T) {
	w := newWorld(t)
	w.projects(20)
	w.begin()
	// What a failover leaves a process with: a connection to a standby.
	w.Exec(t, `CREATE SCHEMA standby`)
	w.Exec(t, `CREATE FUNCTION standby.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'`)
	w.Exec(t, `ALTER DATABASE `+w.Name+` SET search_path = standby, pg_catalog`)
	w.producer()
	w.consumer()
	w.await("the run is why all hold", w.holds(board.HoldRun))
	w.during(2*time.Second, "nothing is listed or queued", func() bool {
		return len(w.registry.Requests(registrytest.List)) == 0 && w.redis.Exists(t.Context(), "asynq:{scan}:pending").Val() == 0
	})
	if reason := w.hold().Reason; !strings.Contains(reason, "standby") {
		t.Errorf("the reason is %q", reason)
	}
	w.Exec(t, `DROP SCHEMA standby CASCADE`) // it was promoted
	w.within(recovery, "all projects are completed", w.completed(20))
}

func TestP6_CountsBalanceAtEveryMoment(t *testing.T) {
	w := newWorld(t)
	const projects = 200
	w.projects(projects)
	w.registry.SetLatency(10 * time.Millisecond)
	w.registry.Fail(registrytest.Where{Repository: app(7)}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	w.set("flush_after", "1s")
	w.set("batch_size", "10")
	w.begin()
	w.producer()
	w.consumer()
	w.await("every project has its result", func() bool {
		counts := w.counts()
		if !counts.Balanced() || counts.Eligible != projects {
			t.Errorf("not balanced: %+v", counts)
		}
		return counts.Pending == 0
	})
	const reasonless = `SELECT count(*) FROM regmend.data_repair_details
		WHERE status = 'failed' AND (error IS NULL OR error = '' OR next_attempt_at IS NULL OR attempts < 1)`
	if got := w.Value(t, reasonless); got != "0" {
		t.Errorf("%s failed ones have no reason or no next try", got)
	}
	if got := w.counts().Failed; got != 1 {
		t.Errorf("%d failed, want 1", got)
	}
}
