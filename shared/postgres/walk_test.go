package postgres_test

import (
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lib/pq"
)

// walkAll walks from the beginning in steps and returns what it found.
func walkAll(t *testing.T, s *suite, scope []string, window, limit int) []int64 {
	t.Helper()
	var found []int64
	for from, steps := int64(0), 0; ; steps++ {
		walked, err := s.DB.Walk(t.Context(), s.run, 0, scope, from, window, limit)
		if err != nil {
			t.Fatalf("Walk: %v", err)
		}
		if steps > 100 || (walked.Next <= from && !walked.End) {
			t.Fatalf("Walk(from %d) = %+v: it does not come on", from, walked)
		}
		found = append(found, walked.IDs...)
		if walked.End {
			return found
		}
		from = walked.Next
	}
}

func TestP1_WalkFindsEveryProjectThatIsToBeScannedInSteps(t *testing.T) {
	s := newSuite(t, 12)
	s.Exec(t, `DELETE FROM public.routes WHERE path = 'Group/app-l'`)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[1].ID)
	s.Exec(t, `DELETE FROM public.projects WHERE id = $1`, s.projects[5].ID)
	s.write(t, s.completed(2, 5), s.failed(3, 5, "x"), s.failed(4, 5, "x"), s.completed(6, 3), s.failed(6, 5, "x"), s.completed(7, 5))
	s.Exec(t, `UPDATE regmend.data_repair_details SET next_attempt_at = now() WHERE project_id = ANY ($1)`,
		ids(s.projects[4], s.projects[6]))
	s.Exec(t, `UPDATE regmend.data_repair_details SET run_id = run_id + 1 WHERE project_id = $1`, s.projects[7].ID)
	var want []int64
	for _, i := range []int{0, 4, 6, 7, 8, 9, 10, 11} {
		want = append(want, s.projects[i].ID)
	}
	for _, step := range []struct{ window, limit int }{{1, 1}, {3, 2}, {4, 4}, {5, 1}, {11, 3}, {10, 8}, {100, 8}, {100, 100}} {
		if diff := cmp.Diff(want, walkAll(t, s, nil, step.window, step.limit)); diff != "" {
			t.Errorf("window %d, limit %d (-want +got):\n%s", step.window, step.limit, diff)
		}
	}
}

// ids is an array for a statement.
func ids(projects ...gitlab.Project) any {
	var ids []int64
	for _, p := range projects {
		ids = append(ids, p.ID)
	}
	return pq.Array(ids)
}

func TestWalkKeepsToItsScope(t *testing.T) {
	db := postgrestest.New(t)
	s := &suite{Database: db, run: db.Run(t)}
	byPath := make(map[string]int64)
	for _, path := range []string{"Group/app", "Group/app-x", "Group/Sub/app", "group2/app", "Gr_up/app", "other/app", "Group/app.y", "Gr%/app"} {
		byPath[path] = db.Project(t, path)
	}
	for _, test := range []struct {
		scope []string
		want  []string
	}{
		{[]string{"group"}, []string{"Group/app", "Group/app-x", "Group/Sub/app", "Group/app.y"}},
		{[]string{"GROUP/APP"}, []string{"Group/app"}},
		{[]string{"group/sub", "other/app"}, []string{"Group/Sub/app", "other/app"}},
		{[]string{"gr_up"}, []string{"Gr_up/app"}},
		{[]string{"gr%"}, []string{"Gr%/app"}},
		{[]string{"nowhere"}, nil},
	} {
		var want []int64
		for _, path := range test.want {
			want = append(want, byPath[path])
		}
		got := walkAll(t, s, test.scope, 3, 2)
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b int64) bool { return a < b })); diff != "" {
			t.Errorf("scope %v (-want +got):\n%s", test.scope, diff)
		}
	}
}

// fill makes n projects, every second one with a result, by statements.
func fill(t *testing.T, s *suite, n int) {
	t.Helper()
	s.Exec(t, `INSERT INTO public.projects (id, namespace_id, name, path) SELECT i, 1, 'p' || i, 'p' || i FROM generate_series(1, $1::int) AS i`, n)
	s.Exec(t, `INSERT INTO public.routes (source_id, source_type, path) SELECT i, 'Project', 'group/p' || i FROM generate_series(1, $1::int) AS i`, n)
	s.Exec(t, `INSERT INTO regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed)
		SELECT i, 0, 'completed', now(), $2, $3, 'group/p' || i, 'gitlab', 1, 0 FROM generate_series(1, $1::int, 2) AS i`, n, s.run.ID, s.at(1))
	s.Exec(t, `ANALYZE`)
}

// TestWalkReadsOnlyItsWindow counts the rows that the server read, from its
// own statistics: a step must cost the same at the end of a full table.
func TestWalkReadsOnlyItsWindow(t *testing.T) {
	db := postgrestest.New(t)
	s := &suite{Database: db, run: db.Run(t)}
	fill(t, s, 60_000)
	for name, scope := range map[string][]string{"everything": nil, "a scope": {"group"}} {
		s.Exec(t, `SELECT pg_stat_reset()`)
		walker := postgrestest.Open(t, db.URL)
		if _, err := walker.Walk(t.Context(), s.run, 0, scope, 40_000, 1000, 1000); err != nil {
			t.Fatal(err)
		}
		_ = walker.Close() // statistics are sent at the latest now
		const read = `SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables
			WHERE relname IN ('projects', 'routes', 'data_repair_details')`
		until(t, "statistics", func() bool { return db.Value(t, read) != "0" })
		if got := db.Value(t, `SELECT (`+read+`) BETWEEN 1 AND 10000`); got != "true" {
			t.Errorf("%s: a window of 1000 read %s rows", name, db.Value(t, read))
		}
	}
}

func TestDropOrphans(t *testing.T) {
	s := newSuite(t, 4)
	s.Exec(t, `ALTER TABLE regmend.data_repair_details DROP CONSTRAINT data_repair_details_project_id_fkey`)
	for project := range s.projects {
		s.write(t, s.completed(project, 1, "x"))
	}
	s.Exec(t, `DELETE FROM public.projects WHERE id IN ($1, $2)`, s.projects[0].ID, s.projects[2].ID)
	n, err := s.DB.DropOrphans(t.Context(), s.projects[0].ID, s.projects[3].ID)
	if err != nil || n != 1 {
		t.Errorf("DropOrphans() = %d, %v, want the 1 above from", n, err)
	}
	if n, err = s.DB.DropOrphans(t.Context(), 0, 100); err != nil || n != 1 {
		t.Errorf("DropOrphans() of the rest = %d, %v, want 1", n, err)
	}
	wantRows(t, s.Database, s.completedRow(1, 1, "x"), s.completedRow(3, 1, "x"))
}
