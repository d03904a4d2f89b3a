package postgres_test

import (
	"slices"
	"testing"
	"time"

	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const selectLooked = `
SELECT l.project_id, run_id, 'looked' AS status, scan_number,
       (SELECT count(*) FROM regmend.looked_repositories n WHERE n.project_id = l.project_id) AS missing_count,
       coalesce((SELECT string_agg(name, ',' ORDER BY name) FROM regmend.looked_repositories n
                 WHERE n.project_id = l.project_id), '') AS names
FROM regmend.looks l`

// wantSwept compares rows and looks, a project's row before its look.
func wantSwept(t *testing.T, db *postgrestest.Database, want ...stored) {
	t.Helper()
	var looks []stored
	if err := db.SQL.SelectContext(t.Context(), &looks, selectLooked); err != nil {
		t.Fatal(err)
	}
	got := append(rows(t, db), looks...)
	slices.SortStableFunc(got, func(a, b stored) int { return int(a.Project - b.Project) })
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// A project at which a scan had a first look is left to its second one, unless the
// sweep sees something, too.
func TestASweepLeavesFirstLooksToTheirSecond(t *testing.T) {
	s := newSuite(t, 3)
	s.write(t, s.looked(0, 1, "x"), s.looked(1, 1, "x"), s.looked(2, 1, "x"))
	sweep := s.walk(t, s.keep(t, s.begin(t)), []string{"group/app-b/emptied", "group/app-c/x", "group/app-c/y"})
	s.ask(t, sweep, "group/app-b/emptied")
	sweep = s.prove(t, sweep)
	first := func(project int) stored {
		row := s.completedRow(project, 1, "x")
		row.Status = "looked"
		return row
	}
	wantSwept(t, s.Database, first(0), first(1), s.swept(sweep, 2, "x", "y"))
	ids, err := s.DB.Looks(t.Context(), sweep, 0, 1<<62)
	if diff := cmp.Diff([]int64{s.projects[2].ID}, ids); err != nil || diff != "" {
		t.Errorf("Looks() = %v (-want +got):\n%s", err, diff)
	}
}

// What is too young to be counted was not overlooked.
func TestASweepIsNotContradictedByWhatIsTooYoung(t *testing.T) {
	s := newSuite(t, 1)
	r := s.completed(0, 1)
	r.Young, r.LookAgainAt = []string{"new"}, time.Now().Add(time.Hour)
	r.Created = map[string]time.Time{"new": time.Now()}
	s.write(t, r)
	sweep := s.walk(t, s.keep(t, s.begin(t)), []string{"group/app-a/new"})
	s.ask(t, sweep)
	s.prove(t, sweep)
	wantSwept(t, s.Database, s.completedRow(0, 1))
}
