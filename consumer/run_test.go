package consumer_test

import (
	"fmt"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/registry/registrytest"
	"regmend/shared/stash"
	"regmend/shared/tasks"
)

func TestRun_WhatDoesNotAgreeHoldsUntilANewRun(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"the database was restored: numbers set back":   `SELECT setval('regmend.scan_number', 1)`,
		"the database was restored: the run is unknown": `INSERT INTO regmend.runs (id, reason, registry, system_identifier, scan_number) OVERRIDING SYSTEM VALUE SELECT 1, reason, registry, system_identifier, 1 FROM regmend.runs; DELETE FROM regmend.runs WHERE id > 1`,
		"another cluster":  `UPDATE regmend.runs SET system_identifier = '7'`,
		"another registry": `UPDATE regmend.runs SET registry = 'https://other.example.com (gitlab)'`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			const projects = 300
			w.Exec(t, `SELECT setval('regmend.runs_id_seq', 5), setval('regmend.scan_number', 1000)`)
			w.projects(projects)
			w.set("batch_size", "10")
			w.set("flush_after", "1s")
			w.begin()
			w.registry.SetLatency(10 * time.Millisecond)
			w.producer()
			w.consumer()
			w.midway()
			w.Exec(t, change)
			w.await("the run is why all hold", w.holds(board.HoldRun))
			// Of another registry it is asked whether it still is one, and what was
			// stashed before it came is right.
			done := func() string {
				asked := len(w.registry.Requests(registrytest.List, registrytest.Details, registrytest.Catalog, registrytest.Tags))
				if name == "another registry" {
					return fmt.Sprint(asked)
				}
				return fmt.Sprint(asked, w.Value(t, `SELECT count(*) FROM regmend.data_repair_details`))
			}
			// What was under way is over within two seconds.
			before, since := done(), time.Now()
			w.within(4*time.Second, "for a while nothing is asked or written", func() bool {
				if now := done(); now != before {
					before, since = now, time.Now()
				}
				return time.Since(since) > 2*time.Second
			})
			w.nothingFailed()
			run := w.begin()
			w.within(recovery, "all projects are completed anew", w.completed(projects))
			if got := w.Value(t, `SELECT count(*) FROM regmend.data_repair_details WHERE run_id = $1`, run.ID); got != "300" {
				t.Errorf("%s rows are of the new run", got)
			}
			w.checkApps(projects)
		})
	}
}

func TestRun_AFirstRunBeginsByItself(t *testing.T) {
	w := newWorld(t)
	w.projects(20)
	w.set("scan_enabled", "true")
	w.producer()
	w.consumer()
	w.await("all projects are completed", w.completed(20))
}

// Whoever began the run died before saying so in Redis.
func TestRun_RedisThatKnowsAnEarlierRunIsTold(t *testing.T) {
	w := newWorld(t)
	w.projects(20)
	before := w.begin()
	found, err := w.client(w.reach.Registry).Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, err := w.DB.NewRun(t.Context(), "test", found.Identity, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.producer()
	w.consumer()
	w.await("all projects are completed", w.completed(20))
	if mark, err := board.New(w.redis).RunMark(t.Context()); err != nil || mark.Run != run.ID || before.ID == run.ID {
		t.Errorf("redis knows run %d (%v), want %d", mark.Run, err, run.ID)
	}
}

func TestRun_StashAndQueueOfAnotherAreDiscarded(t *testing.T) {
	w := newWorld(t)
	first := w.projects(20)
	old := w.begin()
	run := w.begin()
	w.put(gitlab.Result{
		Run: old.ID, Scan: run.Scan + 100, Project: gitlab.Project{ID: first, FullPath: app(1)},
		Status: gitlab.Completed, Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1},
	})
	w.consumer()
	got := w.result(w.enqueue("old", tasks.Scan{Run: old.ID, IDs: []int64{first}}))
	if got.Completed != 0 || got.Note == "" {
		t.Errorf("%+v, want nothing done and a note", got)
	}
	w.await("the stash is empty", func() bool { return w.stashed() == 0 })
	if got := w.Value(t, `SELECT count(*) FROM regmend.data_repair_details`); got != "0" {
		t.Errorf("%s rows were written", got)
	}
	if n := w.listings(app(1)); n != 0 {
		t.Errorf("it was listed %d times", n)
	}
}

// put stashes results as a consumer that was killed right after would.
func (w *world) put(results ...gitlab.Result) {
	w.t.Helper()
	if _, err := stash.New(w.redis, stash.Config{}).Put(w.t.Context(), results); err != nil {
		w.t.Fatal(err)
	}
}

func TestFlush_KillBetweenStashAndEnqueue(t *testing.T) {
	w := newWorld(t)
	run := w.begin()
	id := w.Project(t, app(1))
	w.set("scan_enabled", "false")
	w.set("flush_after", "1s")
	w.put(gitlab.Result{
		Run: run.ID, Scan: run.Scan + 1, Project: gitlab.Project{ID: id, FullPath: app(1)}, Status: gitlab.Failed, Error: "no",
	})
	w.Exec(t, `SELECT setval('regmend.scan_number', $1)`, run.Scan+1)
	w.consumer()
	w.await("it is written", func() bool { return w.counts().Failed == 1 && w.stashed() == 0 })
}

func TestFlush_KillBetweenCommitAndAck(t *testing.T) {
	w := newWorld(t)
	run := w.begin()
	id := w.Project(t, app(1))
	w.set("scan_enabled", "false")
	w.set("flush_after", "1s")
	w.Exec(t, `SELECT setval('regmend.scan_number', $1)`, run.Scan+1)
	failed := gitlab.Result{
		Run: run.ID, Scan: run.Scan + 1, Project: gitlab.Project{ID: id, FullPath: app(1)}, Status: gitlab.Failed, Error: "no",
	}
	if _, err := w.DB.Write(t.Context(), run, []gitlab.Result{failed}); err != nil {
		t.Fatal(err)
	}
	const row = `SELECT attempts || ' ' || next_attempt_at FROM regmend.data_repair_details`
	written := w.Value(t, row)
	w.put(failed) // as it still is there
	w.consumer()
	w.await("the stash is empty", func() bool { return w.stashed() == 0 })
	if got := w.Value(t, row); got != written {
		t.Errorf("the row is %q, want %q: one failure counts once", got, written)
	}
}

func TestFlush_AnOlderScanArrivesLast(t *testing.T) {
	w := newWorld(t)
	run := w.begin()
	id := w.Project(t, app(1))
	w.set("scan_enabled", "false")
	w.set("flush_after", "1s")
	w.Exec(t, `SELECT setval('regmend.scan_number', $1)`, run.Scan+10)
	scan := func(number int64, missing ...string) gitlab.Result {
		return gitlab.Result{
			Run: run.ID, Scan: run.Scan + number, Project: gitlab.Project{ID: id, FullPath: app(1)}, Status: gitlab.Completed,
			Missing: missing, Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: len(missing)},
		}
	}
	w.put(scan(9, "new"))
	w.put(scan(8, "old", "older")) // in the stash
	w.consumer()
	w.await("the stash is empty", func() bool { return w.stashed() == 0 })
	w.put(scan(7, "oldest")) // in the table
	w.await("the stash is empty", func() bool { return w.stashed() == 0 })
	if got := w.Value(t, `SELECT string_agg(name, ',') FROM regmend.missing_repositories`); got != "new" {
		t.Errorf("missing: %s, want the newest scan's", got)
	}
}

func TestDistribution_TagsDecideAndOneProjectsFailureIsItsOwn(t *testing.T) {
	w := newWorldOf(t, registrytest.Options{Mode: registrytest.Distribution})
	const projects = 50
	first := w.projects(projects)
	w.registry.Push(app(20) + "/untagged")
	mend := w.registry.Fail(registrytest.Where{Repository: app(30) + "/lost"}, registrytest.Status(500, "UNKNOWN"))
	w.set("flush_after", "1s")
	w.set("lap_interval", "1s")
	w.begin()
	w.producer()
	w.consumer()
	w.await("every project has its result", func() bool { return w.counts().Pending == 0 })
	if got := w.counts(); got.Completed != projects-1 || got.Failed != 1 {
		t.Errorf("%+v, want one failed", got)
	}
	if w.failure(app(30)) == "" {
		t.Error("the failed project has no reason")
	}
	mend()
	w.Exec(t, `UPDATE regmend.data_repair_details SET next_attempt_at = now() WHERE project_id = $1`, first+29)
	w.await("all projects are completed", w.completed(projects))
	w.checkApps(projects)
}
