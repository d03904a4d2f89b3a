package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// until polls cond, which becomes true by another process's doing.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// waiting tells whether a statement of regmend's waits for a lock.
func waiting(t *testing.T, db *postgrestest.Database) bool {
	return db.Value(t, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'regmend' AND wait_event_type = 'Lock'`) != "0"
}

func TestP5_TwoFlushesOfTheSameProjectsInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 26)
	// In a small table the planner happens to visit projects in order.
	s.Exec(t, `INSERT INTO public.projects (id, namespace_id) SELECT i, 1 FROM generate_series(1001, 21000) AS i`)
	s.Exec(t, `ANALYZE public.projects`)
	for round := range int64(15) {
		var older, newer []gitlab.Result
		for project := range s.projects {
			older = append(older, s.completed(project, 2*round+1, "old", fmt.Sprint("old-", round)))
			newer = append(newer, s.completed(project, 2*round+2, "new", fmt.Sprint("new-", round)))
		}
		slices.Reverse(newer)
		group, ctx := errgroup.WithContext(t.Context())
		for _, results := range [][]gitlab.Result{older, newer, newer, older} {
			group.Go(func() error {
				_, err := s.DB.Write(ctx, s.run, results)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		var want []stored
		for project := range s.projects {
			want = append(want, s.completedRow(project, 2*round+2, "new", fmt.Sprint("new-", round)))
		}
		wantRows(t, s.Database, want...)
	}
}

// Who writes in the order of projects, as a sweep does, waits for a flush and the
// flush for it, never both.
func TestP5_AFlushThatWaitsForARowHasNoLaterOneLocked(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.write(t, s.completed(0, 1))
	other := s.SQL.MustBegin()
	other.MustExec(`SELECT FROM regmend.data_repair_details WHERE project_id = $1 FOR UPDATE`, s.projects[0].ID)
	var flush errgroup.Group
	flush.Go(func() error {
		_, err := s.DB.Write(t.Context(), s.run, []gitlab.Result{s.completed(0, 2, "x"), s.completed(1, 2, "y")})
		return err
	})
	until(t, "the flush to wait", func() bool { return waiting(t, s.Database) })
	other.MustExec(`SET LOCAL lock_timeout = '100ms'`)
	_, err := other.Exec(`
		INSERT INTO regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed)
		VALUES ($1, 0, 'completed', now(), $2, 1, 'Group/app-b', 'gitlab', 1, 0) ON CONFLICT DO NOTHING`, s.projects[1].ID, s.run.ID)
	if err := errors.Join(err, other.Commit(), flush.Wait()); err != nil {
		t.Error(err)
	}
	wantRows(t, s.Database, s.completedRow(0, 2, "x"), s.completedRow(1, 2, "y"))
}

func TestP9_AProjectDeletedInMidFlushIsDroppedAndTheOthersAreWritten(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 7)
	deletion := s.SQL.MustBegin()
	deletion.MustExec(`DELETE FROM public.projects WHERE id = $1`, s.projects[3].ID)

	var results []gitlab.Result
	var want []stored
	for project := range s.projects {
		results = append(results, s.completed(project, 1, "x"))
		if project != 3 {
			want = append(want, s.completedRow(project, 1, "x"))
		}
	}
	var written postgres.Written
	var group errgroup.Group
	group.Go(func() (err error) {
		written, err = s.DB.Write(t.Context(), s.run, results)
		return err
	})
	until(t, "the flush to meet the deletion", func() bool { return waiting(t, s.Database) })
	if err := deletion.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if want := (postgres.Written{Applied: 6, Discarded: 1}); written != want {
		t.Errorf("Write() = %+v, want %+v", written, want)
	}
	wantRows(t, s.Database, want...)
}

func TestANewRunWaitsForTheFlushThatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	deletion := s.SQL.MustBegin()
	deletion.MustExec(`DELETE FROM public.projects WHERE id = $1`, s.projects[0].ID)
	var group errgroup.Group
	group.Go(func() error {
		_, err := s.DB.Write(t.Context(), s.run, []gitlab.Result{s.completed(0, 1)})
		return err
	})
	until(t, "the flush to wait", func() bool { return waiting(t, s.Database) })
	group.Go(func() error {
		_, err := s.DB.NewRun(t.Context(), "a test", "registry", 0)
		return err
	})
	until(t, "the new run to wait", func() bool {
		return s.Value(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == "1"
	})
	if err := deletion.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	wantRows(t, s.Database, s.completedRow(0, 1))
}

func TestProjectsAboutToBeDeletedAreDiscarded(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[0].ID)
	s.write(t, s.completed(0, 1), s.completed(1, 1))
	wantRows(t, s.Database, s.completedRow(1, 1))
}

func TestAProjectRenamedSinceItsScanIsDiscarded(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	s.Exec(t, `UPDATE public.routes SET path = 'Group/renamed' WHERE path = 'Group/app-a'`)
	s.Exec(t, `DELETE FROM public.routes WHERE path = 'Group/app-b'`)
	s.write(t, s.completed(0, 1), s.completed(1, 1), s.completed(2, 1))
	wantRows(t, s.Database, s.completedRow(2, 1))
}

func TestAProjectWithoutRouteIsFailed(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	s.Exec(t, `DELETE FROM public.routes WHERE path = 'Group/app-a'`)
	s.projects[0].FullPath = ""
	s.write(t, s.failed(0, 1, "the project has no route"))
	wantRows(t, s.Database, s.failedRow(0, 1, "the project has no route"))
}

func TestP9_AResultThatCannotBeStoredIsRecordedAsFailed(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *gitlab.Result){
		"a name with a zero byte":     func(r *gitlab.Result) { r.Missing = []string{"a\x00b"} },
		"a name that is not UTF-8":    func(r *gitlab.Result) { r.Missing = []string{"\xff"} },
		"the same name twice":         func(r *gitlab.Result) { r.Missing = []string{"x", "x"}; r.Listed = 2 },
		"a number that is too large":  func(r *gitlab.Result) { r.Pages = 1 << 40 },
		"completed without evidence":  func(r *gitlab.Result) { r.Method = "" },
		"more missing than listed":    func(r *gitlab.Result) { r.Missing = []string{"x"}; r.Listed = 0 },
		"completed without any pages": func(r *gitlab.Result) { r.Pages = 0 },
	}
	s := newSuite(t, 5)
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, `DELETE FROM regmend.data_repair_details`)
			var results []gitlab.Result
			for project := range s.projects {
				results = append(results, s.completed(project, 1, "x"))
			}
			spoil(&results[2])
			if got, want := s.write(t, results...), (postgres.Written{Applied: 4, Failed: 1}); got != want {
				t.Errorf("Write() = %+v, want %+v", got, want)
			}
			got := rows(t, s.Database)[2]
			want := s.failedRow(2, 1, got.Error)
			if got != want || len(got.Error) < 30 {
				t.Errorf("row = %+v, want %+v with a reason", got, want)
			}
		})
	}
}

func TestAResultThatSaysNothingIsDiscarded(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	unreal, undecided := s.completed(0, 1), s.completed(1, 1)
	unreal.Project.FullPath = "Group/\xff"
	undecided.Status = "ongoing"
	if got, want := s.write(t, unreal, undecided, s.completed(2, 1)), (postgres.Written{Applied: 1, Discarded: 2}); got != want {
		t.Errorf("Write() = %+v, want %+v", got, want)
	}
}

// TestP9_ARouteThatIsThereTwiceHoldsNobodyUp is of a database that lost its
// unique indexes.
func TestP9_ARouteThatIsThereTwiceHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.Exec(t, `DROP INDEX public.index_routes_on_path, public.index_routes_on_source_type_and_source_id`)
	s.Exec(t, `INSERT INTO public.routes (source_id, source_type, path) SELECT source_id, source_type, path FROM public.routes`)
	loaded, err := s.DB.Load(t.Context(), s.run, 0, []int64{s.projects[0].ID, s.projects[1].ID}, 0)
	if diff := cmp.Diff(s.projects, loaded.Projects); err != nil || diff != "" {
		t.Errorf("Load(), %v (-want +got):\n%s", err, diff)
	}
	if got, want := s.write(t, s.completed(0, 1, "x"), s.completed(1, 1)), (postgres.Written{Applied: 2}); got != want {
		t.Errorf("Write() = %+v, want %+v", got, want)
	}
}

// TestP11_KilledBetweenStatementAndCommit ends the server's process when it
// is asked to commit.
func TestP11_KilledBetweenStatementAndCommit(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	s.Exec(t, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END'`)
	s.Exec(t, `CREATE CONSTRAINT TRIGGER die AFTER INSERT ON regmend.data_repair_details
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`)
	results := []gitlab.Result{s.completed(0, 1, "x"), s.failed(1, 1, "timeout"), s.completed(2, 1)}
	if _, err := s.DB.Write(t.Context(), s.run, results); err == nil {
		t.Error("Write() = nil, want that the connection ended")
	}
	wantRows(t, s.Database)
	s.Exec(t, `DROP TRIGGER die ON regmend.data_repair_details`)
	s.write(t, results...)
	wantRows(t, s.Database, s.completedRow(0, 1, "x"), s.failedRow(1, 1, "timeout"), s.completedRow(2, 1))
}

func TestP5_TheReplyToCommitIsLost(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	for name, test := range map[string]struct {
		result gitlab.Result
		want   stored
	}{
		"of new rows":    {s.completed(0, 1, "x"), s.completedRow(0, 1, "x")},
		"of merged ones": {s.failed(1, 1, "timeout"), s.failedRow(1, 1, "timeout")},
	} {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, `DELETE FROM regmend.data_repair_details`)
			proxy, url := proxied(t, s.URL)
			cut := postgrestest.Open(t, url)
			proxy.LoseReply("COMMIT", 1)
			if _, err := cut.Write(t.Context(), s.run, []gitlab.Result{test.result}); err == nil {
				t.Error("Write() = nil, want that the connection ended")
			}
			if got := proxy.Lost(); got != 1 {
				t.Errorf("%d replies were lost, want 1", got)
			}
			until(t, "the commit", func() bool { return len(rows(t, s.Database)) == 1 })
			wantRows(t, s.Database, test.want)
			if got, again := s.write(t, test.result), (postgres.Written{Superseded: 1}); got != again {
				t.Errorf("second Write() = %+v, want %+v", got, again)
			}
			wantRows(t, s.Database, test.want)
		})
	}
}

func TestWriteCancelledLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	blocker := s.SQL.MustBegin()
	blocker.MustExec(`DELETE FROM public.projects WHERE id = $1`, s.projects[0].ID)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("told to stop")
	var group errgroup.Group
	group.Go(func() error {
		_, err := s.DB.Write(ctx, s.run, []gitlab.Result{s.completed(0, 1)})
		return err
	})
	until(t, "the flush to wait", func() bool { return waiting(t, s.Database) })
	cancel(stopped)
	if err := group.Wait(); !errors.Is(err, stopped) {
		t.Errorf("Write() = %v, want the cause of the cancellation", err)
	}
	if err := blocker.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantRows(t, s.Database)
}
