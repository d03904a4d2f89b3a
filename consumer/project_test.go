package consumer_test

import (
	"net/http"
	"strings"
	"testing"

	"regmend/shared/board"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
	"regmend/shared/tasks"
)

// failure is the failed project's reason, "" if it has none.
func (w *world) failure(path string) string {
	w.t.Helper()
	return w.Value(w.t, `SELECT coalesce(max(d.error), '') FROM regmend.data_repair_details d
		JOIN public.projects p ON p.id = d.project_id WHERE 'group/' || p.path = $1`, path)
}

func TestP9_OneBadProjectIsFailedAndTriedAgain(t *testing.T) {
	w := newWorld(t)
	const projects = 50
	first := w.projects(projects)
	mend := w.registry.Fail(registrytest.Where{Repository: app(7)}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	w.Exec(t, `DELETE FROM public.routes WHERE path = $1`, app(8))
	w.set("flush_after", "1s")
	w.set("lap_interval", "1s")
	w.begin()
	w.producer()
	w.consumer()
	w.await("every project has its result", func() bool { return w.counts().Pending == 0 })
	if got := w.counts(); got.Completed != projects-2 || got.Failed != 2 {
		t.Errorf("%+v, want 2 failed, the others completed", got)
	}
	if got := w.failure(app(7)); !strings.Contains(got, "500") {
		t.Errorf("the reason is %q", got)
	}
	if got := w.failure(app(8)); !strings.Contains(got, "no route") {
		t.Errorf("the reason without a route is %q", got)
	}
	const backoff = `SELECT attempts || ' ' || (next_attempt_at BETWEEN updated_at + interval '30 s' AND updated_at + interval '90 s')
		FROM regmend.data_repair_details WHERE project_id = $1`
	if got := w.Value(t, backoff, first+6); got != "1 true" {
		t.Errorf("attempts, and a next try in a minute or so: %q", got)
	}
	mend()
	w.Exec(t, `UPDATE regmend.data_repair_details SET next_attempt_at = now() WHERE project_id = $1`, first+6)
	w.await("it is tried again by itself", w.completed(projects-1))
	const clean = `SELECT count(*) FROM regmend.data_repair_details WHERE project_id = $1 AND attempts = 0 AND error IS NULL`
	if got := w.Value(t, clean, first+6); got != "1" {
		t.Errorf("the failure was not cleared")
	}
}

func TestP9_TheControlItselfMayBeTheBadProject(t *testing.T) {
	w := newWorld(t)
	first := w.projects(30)
	run := w.begin()
	w.set("flush_after", "1s")
	w.consumer()
	w.result(w.enqueue("control", tasks.Scan{Run: run.ID, IDs: []int64{first + 9}}))
	if path, ok, err := board.New(w.redis).Control(t.Context(), run.ID); path != app(10) || !ok || err != nil {
		t.Fatalf("the control is %q (%v)", path, err)
	}
	w.registry.Fail(registrytest.Where{Repository: app(10)}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	w.registry.Fail(registrytest.Where{Repository: app(3)}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	state, err := w.DB.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := tasks.Scan{Run: run.ID, IDs: []int64{first + 9, first + 2, first + 1}, After: state.Scan}
	if got := w.result(w.enqueue("again", again)); got.Failed != 2 || got.Completed != 1 {
		t.Errorf("%+v, want 2 failed, 1 completed", got)
	}
}

func TestP9_APanicIsTheProjectsFailure(t *testing.T) {
	w := newWorld(t)
	const projects = 30
	w.projects(projects)
	w.deadly = app(3)
	w.set("flush_after", "1s")
	w.begin()
	w.producer()
	w.consumer()
	w.await("every project has its result", func() bool { return w.counts().Pending == 0 })
	if got := w.counts(); got.Completed != projects-1 {
		t.Errorf("%+v, want one failed", got)
	}
	if got := w.failure(app(3)); !strings.Contains(got, "panic") {
		t.Errorf("the reason is %q", got)
	}
}

func TestP9_AProjectThatKillsItsProcessIsFoundOut(t *testing.T) {
	w := newWorld(t)
	const projects = 20
	w.projects(projects)
	w.deadly = app(3)
	w.timing.Claims.Lease /= 2
	w.set("flush_after", "1s")
	w.begin()
	w.producer()
	var alive *servers.Process
	deaths := -1
	w.within(2*patience, "every project has its result", func() bool {
		if alive == nil || hasExited(alive) {
			alive = w.child()
			deaths++
		}
		return w.counts().Pending == 0
	})
	if got := w.counts(); got.Completed != projects-1 || got.Failed != 1 {
		t.Errorf("%+v, want one failed", got)
	}
	if got := w.failure(app(3)); !strings.Contains(got, "3 processes died") {
		t.Errorf("the reason is %q", got)
	}
	if deaths != 4 {
		t.Errorf("%d processes died, want 4: one before marks are made, three with them", deaths)
	}
}

func hasExited(p *servers.Process) bool {
	select {
	case <-p.Exited():
		return true
	default:
		return false
	}
}
