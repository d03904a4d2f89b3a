package consumer_test

import (
	"fmt"
	"strings"
	"testing"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

// A registry that has lost half of what it held answers well, and so honestly
// that nothing but the listings before tells.
func TestListingsThatShrinkForManyProjectsHoldTheRun(t *testing.T) {
	const projects = 300
	w := newWorld(t)
	w.projects(projects)
	w.set("witness_share", "0")
	run := w.begin()
	w.producer()
	w.consumer()
	w.await("all are done", w.completed(projects))
	w.checkApps(projects)
	before := w.table()

	for i := 10; i < projects; i += 10 {
		w.registry.Delete(app(i) + "/web")
		w.registry.Delete(app(i) + "/lost")
	}
	w.again(run)
	w.await("everything holds", w.holds(board.HoldShrunk))
	reason := w.hold().Reason
	for _, want := range []string{"listings that could be compared shrank by more than 50 %", "regmend run accept-shrink", "regmend run new"} {
		if !strings.Contains(reason, want) {
			t.Errorf("the reason is %q, want %q in it", reason, want)
		}
	}
	w.await("what was asked is answered", func() bool { return w.registry.InFlight() == 0 })
	w.registry.Forget()
	w.again(run)
	w.during(2*shrunkFor, "it holds, nothing is scanned and nothing is written", func() bool {
		return w.hold().Kind == board.HoldShrunk && len(w.registry.Requests(registrytest.List)) == 0 && w.table() == before
	})
	if w.stashed() == 0 {
		t.Error("what was scanned is not in the stash any more")
	}

	if err := w.DB.AcceptShrunk(t.Context(), run, "test"); err != nil {
		t.Fatal(err)
	}
	w.await("what was scanned is written", func() bool { return w.stashed() == 0 })
	w.await("nothing holds", w.holds(""))
	// The first of each was two, the second is none.
	want := fmt.Sprintf("%d versions, %d empty, 1 missing", 2*projects/10-1, projects/10-1)
	if got := w.Value(t, `SELECT (SELECT count(*) FROM regmend.snapshots) || ' versions, ' ||
		(SELECT count(*) FROM regmend.snapshots WHERE listed = 0) || ' empty, ' ||
		(SELECT sum(missing_count) FROM regmend.data_repair_details) || ' missing'`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// shrunkFor is for how long a notice stands that is not renewed, in part.
const shrunkFor = patience / 4

func TestARunThatHoldsIsEndedByANewOne(t *testing.T) {
	const projects = 300
	w := newWorld(t)
	w.projects(projects)
	w.set("witness_share", "0")
	run := w.begin()
	w.consumer()
	w.again(run)
	w.await("all are done", w.completed(projects))
	removed := map[string]bool{}
	for i := 10; i < projects; i += 10 {
		for _, name := range []string{"/web", "/lost"} {
			w.registry.Delete(app(i) + name)
			removed[app(i)+name] = true
		}
	}
	w.again(run)
	w.await("everything holds", w.holds(board.HoldShrunk))

	for path := range removed {
		w.registry.Push(path, "latest")
	}
	next := w.begin()
	w.again(next)
	w.await("the new run is done", w.completed(projects))
	w.await("nothing holds", w.holds(""))
	w.checkApps(projects)
	if got := w.Value(t, `SELECT count(*) FROM regmend.snapshots WHERE number > 1 OR listed = 0`); got != "0" {
		t.Errorf("%s versions came of what the registry had lost for a while", got)
	}
}

// again enqueues all projects, done or not.
func (w *world) again(run postgres.Run) {
	w.t.Helper()
	state, err := w.DB.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []int64
	if err := w.SQL.SelectContext(w.t.Context(), &ids, `SELECT id FROM public.projects ORDER BY id`); err != nil {
		w.t.Fatal(err)
	}
	w.enqueue(fmt.Sprintf("again-%d", state.Scan), tasks.Scan{Run: run.ID, IDs: ids, After: state.Scan})
}

// table is all that flushes write.
func (w *world) table() string {
	w.t.Helper()
	return w.Value(w.t, `SELECT md5((SELECT string_agg(d::text, ' ' ORDER BY project_id) FROM regmend.data_repair_details d) ||
		(SELECT string_agg(s::text, ' ' ORDER BY project_id, number) FROM regmend.snapshots s))`)
}
