package postgres_test

import (
	"context"
	"slices"
	"testing"

	"regmend/shared/postgres/postgrestest"

	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"
)

func TestRunsAndScanNumbers(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	if runs, err := db.DB.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("Runs() = %v, %v, want none", runs, err)
	}
	if s := state(t, db); s.Run.ID != 0 || s.Scan != 0 || s.SystemID == "" {
		t.Errorf("State() = %+v, want no run, no scan number, and the cluster", s)
	}
	first, err := db.DB.NewRun(t.Context(), "first", "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := db.DB.NewRun(t.Context(), "second", "b", 5000)
	if err != nil || second.ID <= first.ID || second.Scan != 5001 {
		t.Errorf("NewRun(above 5000) = %+v, %v after %+v", second, err, first)
	}
	third, err := db.DB.NewRun(t.Context(), "third", "b", 7)
	if err != nil || third.Scan != 5002 {
		t.Errorf("NewRun(above 7) = %+v, %v, want scan 5002", third, err)
	}
	runs, err := db.DB.Runs(t.Context())
	if err != nil || len(runs) != 3 || runs[0] != third || runs[2] != first {
		t.Errorf("Runs() = %+v, %v, want the newest first", runs, err)
	}
	if s := state(t, db); s.Run != third || s.Scan != 5002 || s.SystemID != third.SystemID {
		t.Errorf("State() = %+v, want run %+v", s, third)
	}
}

// TestANewRunGivesNoScanNumberOutTwice takes numbers while runs begin.
func TestANewRunGivesNoScanNumberOutTwice(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	given := make([]pq.Int64Array, 4)
	ctx, cancel := context.WithCancel(t.Context())
	var takers errgroup.Group
	for i := range given {
		takers.Go(func() error {
			for ctx.Err() == nil {
				var some pq.Int64Array
				if err := db.SQL.Get(&some, `SELECT array_agg(nextval('regmend.scan_number')) FROM generate_series(1, 500)`); err != nil {
					return err
				}
				given[i] = append(given[i], some...)
			}
			return nil
		})
	}
	var runs []int64
	for range 100 {
		run, err := db.DB.NewRun(ctx, "a test", "registry.example.com", 1)
		if err != nil {
			t.Error(err)
			break
		}
		runs = append(runs, run.Scan)
	}
	cancel()
	if err := takers.Wait(); err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(append([][]int64{runs}, given[0], given[1], given[2], given[3])...)
	slices.Sort(all)
	if twice := len(all) - len(slices.Compact(slices.Clone(all))); twice > 0 {
		t.Errorf("of %d scan numbers %d were given out twice", len(all), twice)
	}
}
