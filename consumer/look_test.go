package consumer_test

import (
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
	"regmend/shared/stash"
)

// patience is for what has to come about by itself.
const patience = 40 * time.Second

// await waits until the condition holds.
func (w *world) await(what string, condition func() bool) {
	w.t.Helper()
	w.within(patience, what, condition)
}

// within waits until the condition holds, but not for longer than limit.
func (w *world) within(limit time.Duration, what string, condition func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after %s still not: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// during checks for a while that the condition holds all the time.
func (w *world) during(while time.Duration, what string, condition func() bool) {
	w.t.Helper()
	for end := time.Now().Add(while); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !condition() {
			w.t.Fatalf("not all the time: %s", what)
		}
	}
}

// counts counts the projects by state.
func (w *world) counts() postgres.Counts {
	w.t.Helper()
	state, err := w.DB.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	counts, err := w.DB.Counts(w.t.Context(), state.Run)
	if err != nil {
		w.t.Fatal(err)
	}
	return counts
}

func (w *world) completed(n int) func() bool {
	return func() bool { return w.counts().Completed == int64(n) }
}

// looked waits until no second look is to be had any more.
func (w *world) looked() {
	w.t.Helper()
	w.await("second looks are through", func() bool { return w.Value(w.t, `SELECT count(*) FROM regmend.looks`) == "0" })
}

// checkApps checks every row of n projects made by projects.
func (w *world) checkApps(n int) {
	w.t.Helper()
	w.looked()
	const wrong = `
SELECT count(*)
FROM public.projects p
LEFT JOIN regmend.data_repair_details d ON d.project_id = p.id AND d.status = 'completed' AND d.error IS NULL
WHERE d.missing_count IS DISTINCT FROM CASE WHEN p.name::int % 10 = 0 THEN 1 ELSE 0 END`
	if got := w.Value(w.t, wrong); got != "0" {
		w.t.Errorf("%s rows are wrong", got)
	}
	const missing = `SELECT count(*) || ' ' || coalesce(string_agg(DISTINCT name, ','), '') FROM regmend.missing_repositories`
	if got, want := w.Value(w.t, missing), fmt.Sprintf("%d lost", n/10); got != want {
		w.t.Errorf("missing repositories: %s, want %s", got, want)
	}
}

// hold is what stands on the board, the reason that explains the others first;
// its kind is "" where nothing does.
func (w *world) hold() board.Hold {
	w.t.Helper()
	holds, err := board.New(w.redis).Holds(w.t.Context())
	switch {
	case err != nil:
		w.t.Fatal(err)
	case len(holds) > 0:
		return holds[0]
	}
	return board.Hold{}
}

func (w *world) holds(kind string) func() bool {
	return func() bool { return w.hold().Kind == kind }
}

// nothingFailed checks that no failure was recorded of anything.
func (w *world) nothingFailed() {
	w.t.Helper()
	if got := w.Value(w.t, `SELECT count(*) FROM regmend.data_repair_details WHERE status = 'failed' OR attempts > 0`); got != "0" {
		w.t.Errorf("%s projects were recorded as failed", got)
	}
}

// stashed is how many results wait.
func (w *world) stashed() int {
	w.t.Helper()
	state, err := stash.New(w.redis, stash.Config{}).State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return state.Entries
}

// midway waits until the scan of the projects is well under way.
func (w *world) midway() {
	w.t.Helper()
	w.await("some projects are listed", func() bool { return len(w.registry.Requests(registrytest.List)) > 80 })
}

// listings counts the listings of that path.
func (w *world) listings(path string) (n int) {
	for _, r := range w.registry.Requests(registrytest.List) {
		if r.Repository == path {
			n++
		}
	}
	return n
}
