package producer_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

// sweeps counts the sweeps that were ever begun.
func (o *office) sweeps() string {
	o.t.Helper()
	return o.Value(o.t, `SELECT count(*) FROM regmend.sweeps`)
}

// sweeping tells how many sweep tasks wait.
func (o *office) sweeping() int {
	o.t.Helper()
	info, err := tasks.Info(o.inspector, tasks.QueueSweep)
	if err != nil {
		o.t.Fatal(err)
	}
	return info.Pending
}

// endSweep ends the sweep as one that failed.
func (o *office) endSweep() {
	o.t.Helper()
	s, err := o.DB.Sweep(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.DB.FailSweep(o.t.Context(), s, "test"); err != nil {
		o.t.Fatal(err)
	}
}

func TestStrategySweep_BeginsARunWithOneSweepAndGoesOnWithLaps(t *testing.T) {
	o := newOffice(t)
	o.set("strategy", "sweep")
	o.projects("group", 10)
	o.producer("p")
	o.producer("q")
	o.await("a sweep is queued", func() bool { return o.sweeping() == 1 })
	o.during(3*time.Second, "one sweep and no lap", func() bool {
		return o.sweeping() == 1 && o.sweeps() == "1" && len(o.ids()) == 0
	})
	o.endSweep()
	o.await("what is left is queued", func() bool { return len(o.ids()) == 10 })
	o.during(3*time.Second, "no other sweep begins in this run", func() bool { return o.sweeps() == "1" })
	state, err := o.DB.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, err := o.DB.NewRun(t.Context(), "another", identity, 0)
	if err != nil || run.ID == state.Run.ID {
		t.Fatal(run, err)
	}
	if err := board.New(o.redis).Begin(t.Context(), board.RunMark{Run: run.ID, Scan: run.Scan}); err != nil {
		t.Fatal(err)
	}
	o.await("another run has its own", func() bool { return o.sweeps() == "2" })
}

func TestStrategySweep_NotForFewProjectsNorForAScope(t *testing.T) {
	o := newOffice(t)
	o.set("lap_interval", "1s")
	o.projects("group", 10)
	stop := o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 })
	o.scan()
	stop()
	o.projects("later", 3)
	o.set("strategy", "sweep")
	stop = o.producer("q")
	o.await("the few new ones are queued", func() bool { return len(o.ids()) == 3 })
	o.during(2*time.Second, "no sweep begins", func() bool { return o.sweeps() == "0" })
	stop()
	o.projects("many", 30)
	o.set("scope", "many/app1")
	stop = o.producer("r")
	o.await("the scope is queued", func() bool { return len(o.ids()) == 4 })
	o.during(2*time.Second, "no sweep begins", func() bool { return o.sweeps() == "0" })
	stop()
	o.set("scope", "")
	o.producer("s")
	o.await("a sweep is queued", func() bool { return o.sweeping() == 1 })
}

func TestStrategyAuto_SweepsOnlyWhereTheCatalogIsGranted(t *testing.T) {
	o := newOffice(t)
	o.set("strategy", "auto")
	o.projects("group", 10)
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 })
	notices := board.New(o.redis)
	tell := func(c board.Catalog) {
		t.Helper()
		if err := notices.SetCatalog(t.Context(), c, time.Minute); err != nil {
			t.Fatal(err)
		}
		o.during(2*time.Second, "no sweep begins", func() bool { return o.sweeps() == "0" })
	}
	tell(board.Catalog{Registry: identity, Reason: "401"})
	tell(board.Catalog{Registry: "another", Granted: true})
	if err := notices.SetCatalog(t.Context(), board.Catalog{Registry: identity, Granted: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	o.await("a sweep is queued", func() bool { return o.sweeping() == 1 })
}

// An operator's sweep is carried on whatever the strategy, also when Redis lost
// it, and beside laps.
func TestAnUnfinishedSweepIsEnqueuedAgain(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 10)
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 })
	state, err := o.DB.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.DB.BeginSweep(t.Context(), state.Run, "test"); err != nil {
		t.Fatal(err)
	}
	o.await("the sweep is queued", func() bool { return o.sweeping() == 1 })
	if err := o.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	o.await("it is queued again, and so are laps", func() bool { return o.sweeping() == 1 && len(o.ids()) == 10 })
	server := asynq.NewServerFromRedisClient(o.redis, asynq.Config{Queues: map[string]int{tasks.QueueSweep: 1}, LogLevel: asynq.FatalLevel})
	ended := make(chan struct{}, 10)
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { ended <- struct{}{}; return nil })); err != nil {
		t.Fatal(err)
	}
	<-ended // without the sweep having ended
	<-ended // so another task came
	server.Shutdown()
	if s, err := o.DB.Sweep(t.Context()); err != nil || s.State != postgres.SweepPreparing {
		t.Errorf("Sweep() = %+v, %v", s, err)
	}
}
