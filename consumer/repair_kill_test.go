package consumer_test

import (
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
)

func TestRepair_AKilledConsumersItemsGoOnWithin20Seconds(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{}
	run, plan := w.repairable(30)
	release := make(chan struct{})
	// The eleventh of its items: ten have their rows by then.
	w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: join(app(110), "lost")}, registrytest.Hold(release))
	victim := w.child()
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaSQL, 30)
	w.await("some rows are there", func() bool { return w.repaired(plan).Applied == 10 && w.registry.InFlight() == 1 })
	w.consumer()
	w.await("the other consumer is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	close(release)
	w.within(20*time.Second, "all rows are there", func() bool { return w.repaired(plan).Applied == 30 })
	w.allRepaired(plan, postgres.RepairCounts{Applied: 30})
	if got := w.lostRows(); got != "30 of 30" {
		t.Errorf("rows = %s", got)
	}
}

func TestRepair_AConsumerThatIsStoppedLeavesItsItemsToOthers(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(30)
	one := w.consumer()
	hang := w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: join(app(150), "lost")}, registrytest.Hang())
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaSQL, 30)
	w.await("it works", func() bool { return w.repaired(plan).Applied == 10 && w.registry.InFlight() == 1 })
	began := time.Now()
	if err := one.end(); err != nil || time.Since(began) > 8*time.Second {
		t.Errorf("it ended after %s: %v", time.Since(began), err)
	}
	hang()
	w.consumer()
	w.allRepaired(plan, postgres.RepairCounts{Applied: 30})
}

func TestRepair_AnUndoOfAKilledConsumerGoesOn(t *testing.T) {
	w := newWorld(t)
	w.timing = timing{}
	run, plan := w.repairable(30)
	before := w.Value(t, `SELECT jsonb_agg(c ORDER BY id)::text FROM container_repositories c`)
	victim := w.child()
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaSQL, 30)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 30})
	theirs := w.SQL.MustBegin()
	theirs.MustExec(`SELECT FROM container_repositories c JOIN projects p ON p.id = c.project_id WHERE p.name = '110' FOR UPDATE OF c`)
	w.order(run, plan.ID, postgres.ActionUndo, "", 30)
	w.await("some rows are removed", func() bool { return w.repaired(plan).Undone == 10 })
	w.consumer()
	w.await("the other consumer is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Rollback(); err != nil {
		t.Fatal(err)
	}
	w.within(20*time.Second, "all rows are removed", func() bool { return w.repaired(plan).Undone == 30 })
	if got := w.Value(t, `SELECT jsonb_agg(c ORDER BY id)::text FROM container_repositories c`); got != before {
		t.Errorf("rows are\n%s\nwere\n%s", got, before)
	}
}
