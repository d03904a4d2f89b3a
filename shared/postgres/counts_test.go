package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

func TestP6_CountsAddUpOverEveryKindOfRow(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 10)
	s.write(t, s.completed(0, 1, "a", "b"), s.completed(1, 1), s.failed(2, 1, "x"),
		s.completed(3, 1, "c"), s.failed(3, 2, "x"), s.completed(4, 1, "d"), s.completed(5, 1, "e"), s.completed(6, 1, "f"))
	s.Exec(t, `ALTER TABLE regmend.data_repair_details DROP CONSTRAINT completed_has_evidence`)
	s.Exec(t, `UPDATE regmend.data_repair_details SET method = NULL WHERE project_id = $1`, s.projects[4].ID)
	s.Exec(t, `UPDATE regmend.data_repair_details SET run_id = run_id + 1 WHERE project_id = $1`, s.projects[5].ID)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = ANY ($1)`, ids(s.projects[6], s.projects[7]))
	s.Exec(t, `UPDATE public.projects SET pending_delete = NULL WHERE id = $1`, s.projects[8].ID)
	got, err := s.DB.Counts(t.Context(), s.run)
	want := postgres.Counts{
		Projects: 10, Eligible: 8, Ineligible: 2, Completed: 3, Failed: 1, Pending: 4, MissingTotal: 3, ProjectsWithMissing: 2,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Counts(), %v (-want +got):\n%s", err, diff)
	}
	if !got.Balanced() {
		t.Error("the counts do not add up")
	}
}

// TestP6_CountsAddUpWhileEverythingChanges counts beside writers.
func TestP6_CountsAddUpWhileEverythingChanges(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 6)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		for scan := int64(1); ctx.Err() == nil; scan++ {
			results := []gitlab.Result{s.completed(int(scan%6), scan%900), s.failed(int((scan+3)%6), scan%900, "x")}
			if _, err := s.DB.Write(context.WithoutCancel(ctx), s.run, results); err != nil {
				done <- err
				return
			}
			if _, err := s.SQL.Exec(`UPDATE public.projects SET pending_delete = NOT pending_delete WHERE id = $1`, s.projects[scan%3].ID); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 100 {
		counts, err := s.DB.Counts(t.Context(), s.run)
		if err != nil || !counts.Balanced() {
			t.Fatalf("count %d: %+v, %v: does not add up", i, counts, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReportFiltersAndNames(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 6)
	s.write(t, s.completed(0, 1, "", "web/a", "Z"), s.completed(1, 1), s.failed(2, 1, "timeout"),
		s.completed(3, 1, "x"), s.failed(3, 2, "later"), s.completed(4, 1, "gone"))
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[4].ID)
	s.Exec(t, `UPDATE public.routes SET path = 'Other/app' WHERE path = 'Group/app-d'`)
	for _, test := range []struct {
		filter postgres.ReportFilter
		want   []string
	}{
		{postgres.ReportFilter{}, []string{
			"Group/app-a completed [group/app-a group/app-a/Z group/app-a/web/a]", "Group/app-b completed []",
			"Group/app-c failed [] timeout 1", "Other/app completed [other/app/x] later 1",
		}},
		{postgres.ReportFilter{Missing: true}, []string{
			"Group/app-a completed [group/app-a group/app-a/Z group/app-a/web/a]", "Other/app completed [other/app/x] later 1",
		}},
		{postgres.ReportFilter{Failed: true}, []string{"Group/app-c failed [] timeout 1"}},
		{postgres.ReportFilter{Namespace: "OTHER", Missing: true}, []string{"Other/app completed [other/app/x] later 1"}},
		{postgres.ReportFilter{Namespace: "grou"}, nil},
	} {
		var got []string
		err := s.DB.Report(t.Context(), s.run, test.filter, func(r postgres.ReportRow) error {
			line := fmt.Sprint(r.Project.FullPath, " ", r.Status, " ", r.MissingPaths())
			if r.Failure.Error != "" {
				line += fmt.Sprint(" ", r.Failure.Error, " ", r.Failure.Attempts)
			}
			if r.UpdatedAt.IsZero() || (r.Failure.Attempts > 0) == r.Failure.NextAttemptAt.IsZero() {
				t.Errorf("%+v: times are missing", r)
			}
			got = append(got, line)
			return nil
		})
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("Report(%+v), %v (-want +got):\n%s", test.filter, err, diff)
		}
	}
}

func TestReportGoesThroughManyPagesAndEndsWithTheVisitor(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 0)
	fill(t, s, 5000)
	s.Exec(t, `UPDATE regmend.data_repair_details SET missing_count = 30, listed = 30`)
	s.Exec(t, `INSERT INTO regmend.missing_repositories (project_id, name)
		SELECT project_id, 'image-' || i FROM regmend.data_repair_details, generate_series(1, 30) AS i`)
	var rows, names int
	last := int64(0)
	err := s.DB.Report(t.Context(), s.run, postgres.ReportFilter{Missing: true}, func(r postgres.ReportRow) error {
		if r.Project.ID <= last {
			t.Fatalf("project %d after %d", r.Project.ID, last)
		}
		last = r.Project.ID
		rows, names = rows+1, names+len(r.Missing)
		return nil
	})
	if err != nil || rows != 2500 || names != 75000 {
		t.Errorf("Report() visited %d rows with %d names, %v; want 2500 with 75000", rows, names, err)
	}
	stop := errors.New("broken pipe")
	rows = 0
	err = s.DB.Report(t.Context(), s.run, postgres.ReportFilter{}, func(postgres.ReportRow) error { rows++; return stop })
	if !errors.Is(err, stop) || rows != 1 {
		t.Errorf("Report() = %v after %d rows, want the visitor's error after 1", err, rows)
	}
}
