package consumer_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
)

var operator = postgres.Who{Actor: "alice", Host: "console", Reason: "a test"}

// repairable makes n projects of which each has a known repository and a lost one,
// found missing, and a plan to restore them.
func (w *world) repairable(n int) (postgres.Run, postgres.Plan) {
	w.t.Helper()
	first := w.projects(10 * n)
	run := w.begin()
	var ids []int64
	for i := 10; i <= 10*n; i += 10 {
		ids = append(ids, first+int64(i)-1)
	}
	loaded, err := w.DB.Load(w.t.Context(), run, 0, ids, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var results []gitlab.Result
	for _, p := range loaded.Projects {
		results = append(results, gitlab.Result{
			Run: run.ID, Scan: loaded.Scan, Project: p, Status: gitlab.Completed, Missing: []string{"lost"},
			Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: 2},
		})
	}
	if _, err := w.DB.Write(w.t.Context(), run, results); err != nil {
		w.t.Fatal(err)
	}
	plan, err := w.DB.MakePlan(w.t.Context(), run, postgres.PlanScope{Accepted: gitlab.Acceptable()}, operator)
	if err != nil || plan.Counts.Open != n {
		w.t.Fatalf("MakePlan() = %+v, %v, want %d open", plan, err, n)
	}
	w.set("repair_enabled", "true")
	return run, plan
}

// order gives an order for the plan, in tasks of that size.
func (w *world) order(run postgres.Run, plan int64, action string, via postgres.Via, size int) {
	w.t.Helper()
	order, err := w.DB.Begin(w.t.Context(), run, postgres.Order{Plan: plan, Action: action, Via: via}, operator)
	if err != nil {
		w.t.Fatal(err)
	}
	spans, err := w.DB.Spans(w.t.Context(), order, size)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range spans {
		task := tasks.Repair{Run: run.ID, Plan: plan, Order: order.ID, Undo: action == postgres.ActionUndo, From: s.From, To: s.To}
		if err := tasks.EnqueueRepair(w.t.Context(), w.redis, task); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) apply(run postgres.Run, plan int64) {
	w.t.Helper()
	w.order(run, plan, postgres.ActionApply, postgres.ViaSQL, 10)
}

// repaired is how far the plan is; it has to add up at any time.
func (w *world) repaired(plan postgres.Plan) postgres.RepairCounts {
	w.t.Helper()
	now, err := w.DB.Plan(context.WithoutCancel(w.t.Context()), plan.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	if now.Counts.Planned() != plan.Counts.Planned() {
		w.t.Fatalf("%+v does not add up to %d", now.Counts, plan.Counts.Planned())
	}
	return now.Counts
}

// lostRows counts the rows named lost, and their projects.
func (w *world) lostRows() string {
	return w.Value(w.t, `SELECT count(*) || ' of ' || count(DISTINCT project_id) FROM container_repositories WHERE name = 'lost'`)
}

// allRepaired awaits that nothing is left of an order.
func (w *world) allRepaired(plan postgres.Plan, want postgres.RepairCounts) {
	w.t.Helper()
	w.await("nothing is left of the order", func() bool {
		n := w.repaired(plan)
		return n.Open == 0 && n.Unverified == 0 && n.Unscanned == 0 && n.Applied == want.Applied
	})
	if diff := cmp.Diff(want, w.repaired(plan)); diff != "" {
		w.t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestRepair_RowsArePutBackScannedAndRemovedAgain(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(25)
	before := w.Value(t, `SELECT jsonb_agg(c ORDER BY id)::text FROM container_repositories c`)
	w.consumer()
	w.consumer()
	w.apply(run, plan.ID)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 25})
	if got := w.lostRows(); got != "25 of 25" {
		t.Errorf("rows = %s", got)
	}
	if got := w.counts().MissingTotal; got != 0 {
		t.Errorf("%d are missing still", got)
	}
	if got := w.Value(t, `SELECT count(*) FROM regmend.repair_items WHERE verified_at IS NOT NULL AND reason IS NULL`); got != "25" {
		t.Errorf("%s were verified, want all", got)
	}
	w.order(run, plan.ID, postgres.ActionUndo, "", 10)
	w.allRepaired(plan, postgres.RepairCounts{Undone: 25})
	if got := w.Value(t, `SELECT jsonb_agg(c ORDER BY id)::text FROM container_repositories c`); got != before {
		t.Errorf("rows are\n%s\nwere\n%s", got, before)
	}
	if got := w.counts().MissingTotal; got != 25 {
		t.Errorf("%d are missing after the undo, want 25", got)
	}
}

func TestRepair_WhatIsNotInTheRegistryAnyMoreIsSkipped(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(3)
	w.registry.Delete(join(app(20), "lost"))
	w.registry.Untag(join(app(30), "lost"))
	w.consumer()
	w.apply(run, plan.ID)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 1, Skipped: 2})
}

func TestRepair_OneBadItemFailsAloneAndIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(12)
	mend := w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: join(app(30), "lost")}, registrytest.Status(500, "UNKNOWN"))
	w.consumer()
	w.apply(run, plan.ID)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 11, Failed: 1})
	if got := w.Value(t, `SELECT reason FROM regmend.repair_items WHERE state = 'failed'`); got == "" {
		t.Error("it failed without a reason")
	}
	mend()
	w.apply(run, plan.ID)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 12})
	if got := w.lostRows(); got != "12 of 12" {
		t.Errorf("rows = %s", got)
	}
}

func TestRepair_AnOutageOfTheRegistryHolds(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(12)
	w.consumer()
	w.await("the witness was heard", func() bool { return w.redis.Exists(t.Context(), "regmend:witness").Val() == 1 })
	mend := w.registry.Fail(registrytest.Where{Kind: registrytest.Tags}, registrytest.Status(503, ""))
	w.apply(run, plan.ID)
	w.await("it is asked for tags", func() bool { return len(w.registry.Requests(registrytest.Tags)) > 0 })
	w.during(3*time.Second, "nothing is decided", func() bool { return w.repaired(plan).Open == 12 })
	mend()
	w.allRepaired(plan, postgres.RepairCounts{Applied: 12})
}

func TestRepair_TheFlagStopsItWithinTwoSeconds(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(12)
	w.consumer()
	hang := w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: join(app(60), "lost")}, registrytest.Hang())
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaSQL, 12)
	asked := func() bool { return w.registry.InFlight() > 0 }
	w.await("an item is being looked at", asked)
	w.set("repair_enabled", "false")
	w.within(2*time.Second, "the request is abandoned", func() bool { return !asked() })
	hang()
	w.during(2*time.Second, "nothing is decided", func() bool { return w.repaired(plan).Open == 12 && !asked() })
	w.set("repair_enabled", "true")
	w.allRepaired(plan, postgres.RepairCounts{Applied: 12})
}

func TestRepair_NoMoreTasksAtOnceThanRepairConcurrency(t *testing.T) {
	w := newWorld(t)
	w.set("max_concurrency", "8")
	run, plan := w.repairable(24)
	release := make(chan struct{})
	w.registry.Fail(registrytest.Where{Kind: registrytest.Tags}, registrytest.Hold(release))
	w.consumer()
	w.consumer()
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaSQL, 4)
	w.await("a task works", func() bool { return w.registry.InFlight() == 1 })
	w.during(2*time.Second, "one works", func() bool { return w.registry.InFlight() <= 1 })
	w.set("repair_concurrency", "3")
	w.await("three work", func() bool { return w.registry.InFlight() == 3 })
	w.during(2*time.Second, "no more do", func() bool { return w.registry.InFlight() <= 3 })
	w.set("repair_concurrency", "0")
	w.within(2*time.Second, "none works", func() bool { return w.registry.InFlight() == 0 })
	w.set("repair_concurrency", "2")
	close(release)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 24})
	if got := w.lostRows(); got != "24 of 24" {
		t.Errorf("rows = %s", got)
	}
}

func TestRepair_AnOrderThatCannotBeCarriedOutIsStopped(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(3)
	w.consumer()
	w.Exec(t, `ALTER TABLE container_repositories ADD COLUMN owner text`)
	stopped := func() string { return w.Value(t, `SELECT stopped FROM regmend.repair_plans`) }
	w.apply(run, plan.ID)
	w.await("it is stopped", func() bool { return stopped() != "" })
	if n := w.repaired(plan); n.Open != 3 {
		t.Errorf("counts = %+v, want all open", n)
	}
	w.Exec(t, `ALTER TABLE container_repositories DROP COLUMN owner`)
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaGitLab, 10)
	w.await("it is stopped again", func() bool { return stopped() != "" })
	if got, want := stopped(), "consumer process-1 has no credentials for GitLab"; len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("stopped: %s", got)
	}
	w.apply(run, plan.ID)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 3})
}

// An undo asks the registry nothing.
func TestRepair_UndoNeedsNeitherRegistryNorScanning(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(12)
	w.consumer()
	w.apply(run, plan.ID)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 12})
	w.registry.Fail(registrytest.Where{}, registrytest.Status(503, ""))
	w.set("scan_enabled", "false")
	w.set("max_concurrency", "0")
	w.order(run, plan.ID, postgres.ActionUndo, "", 10)
	w.await("all is undone", func() bool { return w.repaired(plan).Undone == 12 })
}
