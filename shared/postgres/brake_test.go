package postgres_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func step(run postgres.Run, was, slots int) postgres.BrakeStep {
	return postgres.BrakeStep{Run: run.ID, By: "a", Was: was, Slots: slots, Usual: postgres.Latency{Small: 1500 * time.Microsecond, Large: time.Second}, Reason: "slow"}
}

func take(t *testing.T, db *postgrestest.Database, after int64, s postgres.BrakeStep) postgres.BrakeStep {
	t.Helper()
	taken, err := db.DB.TakeStep(t.Context(), after, s)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func TestTheBrakesLastStepIsInForceInItsRun(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	run := db.Run(t)
	for key, value := range map[string]string{"max_concurrency": "8"} {
		if _, err := db.DB.Set(t.Context(), key, value, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if got := state(t, db).Slots(); got != postgres.FirstSlots {
		t.Errorf("Slots() = %d before the first step, want %d", got, postgres.FirstSlots)
	}
	first := take(t, db, 0, step(run, 2, 4))
	second := take(t, db, first.ID, step(run, 4, 12))
	if diff := cmp.Diff(second, state(t, db).Brake); diff != "" {
		t.Errorf("State().Brake (-want +got):\n%s", diff)
	}
	if got := state(t, db).Slots(); got != 8 {
		t.Errorf("Slots() = %d, never above max_concurrency", got)
	}
	third := take(t, db, second.ID, step(run, 8, 3))
	if got := state(t, db).Slots(); got != 3 {
		t.Errorf("Slots() = %d, want 3", got)
	}
	if _, err := db.DB.Set(t.Context(), "brake", "off", "alice"); err != nil {
		t.Fatal(err)
	}
	if got := state(t, db).Slots(); got != 8 {
		t.Errorf("Slots() = %d with the brake off, want 8", got)
	}
	steps, err := db.DB.BrakeSteps(t.Context(), 2)
	if diff := cmp.Diff([]postgres.BrakeStep{third, second}, steps); err != nil || diff != "" {
		t.Errorf("BrakeSteps(), %v (-want +got):\n%s", err, diff)
	}
	if _, err := db.DB.Set(t.Context(), "brake", "on", "alice"); err != nil {
		t.Fatal(err)
	}
	db.Run(t)
	if got := state(t, db).Slots(); got != postgres.FirstSlots {
		t.Errorf("Slots() = %d in another run, want %d", got, postgres.FirstSlots)
	}
	if _, err := db.DB.TakeStep(t.Context(), third.ID, step(run, 3, 4)); !errors.Is(err, postgres.ErrStepTaken) {
		t.Errorf("a step of the run before: %v, want ErrStepTaken", err)
	}
}

func TestOfManyWhoWantTheBrakesNextStepOneTakesIt(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	run := db.Run(t)
	last := take(t, db, 0, step(run, 2, 4))
	var taken atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			switch _, err := db.DB.TakeStep(t.Context(), last.ID, step(run, 4, 5+i)); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, postgres.ErrStepTaken):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("%d of 8 took the next step, want 1", n)
	}
	if _, err := db.DB.TakeStep(t.Context(), 0, step(run, 2, 4)); !errors.Is(err, postgres.ErrStepTaken) {
		t.Errorf("a second first step: %v, want ErrStepTaken", err)
	}
}

func TestTheBrakesStepsAreBounded(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	run := db.Run(t)
	db.Exec(t, `INSERT INTO regmend.brake_steps (follows, run_id, taken_by, was, slots, usual_us, usual_large_us, reason)
SELECT i - 1, $1, 'a', 2, 2, 0, 0, 'slow' FROM generate_series(1, 1500) AS i ORDER BY i`, run.ID)
	last := take(t, db, 1500, step(run, 2, 3))
	if got := db.Value(t, `SELECT count(*) || ' ' || max(id) FROM regmend.brake_steps`); got != "1001 1501" {
		t.Errorf("%s steps are kept and the last, want 1001 1501", got)
	}
	if diff := cmp.Diff(step(run, 2, 3), last, cmpopts.IgnoreFields(postgres.BrakeStep{}, "ID", "At")); diff != "" {
		t.Errorf("TakeStep() (-want +got):\n%s", diff)
	}
}
