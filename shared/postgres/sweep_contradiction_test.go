package postgres_test

import (
	"strings"
	"testing"

	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestP7_WhatTheCatalogAndAScanDisagreeAboutIsDecidedByTheTags(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 5)
	s.write(t,
		s.completed(0, 1),             // overlooked web
		s.completed(1, 1, "gone", ""), // gone has no tags any more
		s.completed(2, 1, "same"),     // all agree
		s.completed(3, 1, "mended"),   // has a row by now
		s.completed(4, 1, "x"))        // the catalog has emptied, which has no tags
	s.Repository(t, s.projects[3].ID, "mended")
	sweep := s.keep(t, s.begin(t))
	sweep = s.walk(t, sweep, []string{"group/app-a/web", "group/app-b", "group/app-c/same", "group/app-d/mended", "group/app-e/x", "group/app-e/emptied"})
	if got, want := s.ask(t, sweep, "group/app-b/gone", "group/app-e/emptied"), []string{"group/app-a/web", "group/app-b/gone", "group/app-e/emptied"}; !cmp.Equal(got, want) {
		t.Errorf("asked for the tags of %v, want %v: what both have needs no asking", got, want)
	}
	sweep = s.prove(t, sweep)
	still := s.swept(sweep, 1, "")
	still.Status = "completed" // what it keeps was missed twice
	want := []stored{
		s.completedRow(0, 1), s.swept(sweep, 0, "web"), still,
		s.completedRow(2, 1, "same"), s.completedRow(3, 1, "mended"), s.completedRow(4, 1, "x"),
	}
	wantSwept(t, s.Database, want...)
	confirmed := s.completed(0, 0, "web")
	confirmed.Scan = sweep.Scan + 1
	s.Exec(t, `SELECT setval('regmend.scan_number', $1)`, confirmed.Scan)
	s.write(t, confirmed)

	scan := " scan " + s.Value(t, `SELECT $1::text`, s.at(1)) + " (gitlab)"
	contradictions := []postgres.Contradiction{
		{Project: s.projects[0], Text: "the catalog has, with tags, what" + scan + " did not report: group/app-a/web"},
		{Project: s.projects[1], Text: "scan" + strings.TrimPrefix(scan, " scan") + " reported what is not in the catalog and has no tags: group/app-b/gone"},
	}
	for _, limit := range []int{1, 10} {
		got, total, err := s.DB.Contradictions(t.Context(), limit)
		diff := cmp.Diff(contradictions[:min(limit, 2)], got, cmpopts.IgnoreFields(postgres.Contradiction{}, "UpdatedAt"))
		if err != nil || total != 2 || diff != "" {
			t.Errorf("Contradictions(%d) = %d, %v, want 2 (-want +got):\n%s", limit, total, err, diff)
		}
	}
	if detail, err := s.DB.Show(t.Context(), s.run, "group/app-a"); err != nil || detail.Contradiction != contradictions[0].Text {
		t.Errorf("Show() = %+v, %v, want %s", detail, err, contradictions[0].Text)
	}
	// A failure leaves it; a new result is without.
	after := func(scan int64) int64 { return sweep.Scan - s.run.Scan + scan }
	s.Exec(t, `SELECT setval('regmend.scan_number', 2000)`)
	s.write(t, s.failed(0, after(2), "timeout"), s.completed(1, after(2)))
	if got, total, err := s.DB.Contradictions(t.Context(), 10); err != nil || total != 1 || got[0].Project != s.projects[0] {
		t.Errorf("Contradictions() = %+v, %d, %v, want that of the first project", got, total, err)
	}
	s.Run(t)
	if got, total, err := s.DB.Contradictions(t.Context(), 10); err != nil || total+len(got) != 0 {
		t.Errorf("Contradictions() of a new run = %+v, %d, %v, want none", got, total, err)
	}
}

// TestP7_AnOlderResultStandsWhereNotEverythingIsKnown is of results that came,
// changed or are of another path while the catalog was read.
func TestP7_AnOlderResultStandsWhereNotEverythingIsKnown(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 4)
	s.write(t, s.completed(1, 1, "x"), s.completed(2, 1, "x"), s.completed(3, 1, "x"))
	s.Exec(t, `UPDATE public.routes SET path = 'Group/moved' WHERE path = 'Group/app-d'`)
	sweep := s.walk(t, s.keep(t, s.begin(t)), []string{"group/app-b/x", "group/app-b/y", "group/moved/z"})
	s.ask(t, sweep, "group/app-c/x", "group/moved/x")
	s.write(t, s.completed(0, 2, "late"), s.completed(1, 2), s.completed(2, 2, "late"))
	s.prove(t, sweep)
	wantSwept(t, s.Database, s.completedRow(0, 2, "late"), s.completedRow(1, 2), s.completedRow(2, 2, "late"), s.completedRow(3, 1, "x"))
}

func TestP7_ACatalogThatLacksWhatHasTagsProvesNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	s.write(t, s.completed(0, 1, "x"))
	sweep := s.walk(t, s.keep(t, s.begin(t)), []string{"group/app-b/y"})
	s.ask(t, sweep)
	sweep = s.prove(t, sweep)
	if sweep.State != postgres.SweepFailed || !strings.Contains(sweep.Reason, "group/app-a/x") {
		t.Errorf("sweep = %+v, want it failed because of group/app-a/x", sweep)
	}
	wantSwept(t, s.Database, s.completedRow(0, 1, "x"))
}

// TestACatalogThatLacksWhatIsGoneElsewhereIsBelieved is of what explains that
// the catalog has no repository that a scan found missing and that has tags.
func TestACatalogThatLacksWhatIsGoneElsewhereIsBelieved(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *suite) string{
		"it was pushed again, and has a row": func(s *suite) string {
			s.Repository(t, s.projects[0].ID, "x")
			return ""
		},
		"its project was renamed": func(*suite) string {
			return `UPDATE public.routes SET path = 'Group/new' WHERE path = 'Group/app-a'`
		},
		"its project is about to be deleted": func(*suite) string {
			return `UPDATE public.projects SET pending_delete = true WHERE id = (SELECT min(id) FROM public.projects)`
		},
	}
	for name, happen := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, 2)
			s.write(t, s.completed(0, 1, "x"))
			sweep := s.walk(t, s.keep(t, s.begin(t)), []string{"nobody/y"})
			s.ask(t, sweep)
			if statement := happen(s); statement != "" {
				s.Exec(t, statement)
			}
			sweep = s.prove(t, sweep)
			wantSwept(t, s.Database, s.completedRow(0, 1, "x"), s.swept(sweep, 1))
		})
	}
}

// TestARowThatComesAndGoesIsNoContradiction is of a repository that had a row
// when its page was judged, but neither before nor after.
func TestARowThatComesAndGoesIsNoContradiction(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 1, "x"))
	sweep := s.keep(t, s.begin(t))
	s.Repository(t, s.projects[0].ID, "x")
	sweep = s.walk(t, sweep, []string{"group/app-a/x"})
	s.Exec(t, `DELETE FROM public.container_repositories`)
	s.ask(t, sweep)
	if sweep = s.prove(t, sweep); sweep.State != postgres.SweepDone {
		t.Errorf("sweep = %+v, want it done", sweep)
	}
	wantSwept(t, s.Database, s.completedRow(0, 1, "x"))
}
