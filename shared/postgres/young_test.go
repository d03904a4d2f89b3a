package postgres_test

import (
	"testing"
	"time"

	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestWhatIsTooYoungComesUpAgain(t *testing.T) {
	s := newSuite(t, 1)
	young := s.completed(0, 2, "old")
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	young.Young, young.LookAgainAt = []string{"new"}, at
	young.Created = map[string]time.Time{"new": at.Add(-time.Hour), "old": at.Add(-48 * time.Hour)}
	s.write(t, s.looked(0, 1, "new", "old"), young)
	wantRows(t, s.Database, s.completedRow(0, 2, "old"))
	detail, err := s.DB.Show(t.Context(), s.run, "group/app-a")
	if err != nil || !cmp.Equal(detail.Young, []string{"new"}) || !detail.LookAgainAt.Equal(at) || len(detail.Missing) != 1 {
		t.Errorf("Show() = %+v, %v, want new to be too young until %s", detail, err, at)
	}
	err = s.DB.Report(t.Context(), s.run, postgres.ReportFilter{}, func(r postgres.ReportRow) error {
		if diff := cmp.Diff([]string{"new"}, r.Young); diff != "" {
			t.Errorf("reported as too young (-want +got):\n%s", diff)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := s.Value(t, `SELECT created_at = $1 FROM regmend.missing_repositories`, young.Created["old"]); got != "true" {
		t.Errorf("the age of what is missing is not kept: %s", got)
	}
	for ago, want := range map[string]int{"-1 hour": 0, "1 second": 1} {
		s.Exec(t, `UPDATE regmend.data_repair_details SET look_again_at = now() - $1::interval`, ago)
		walked, err := s.DB.Walk(t.Context(), s.run, 0, nil, 0, 100, 100)
		if err != nil || len(walked.IDs) != want {
			t.Errorf("due since %s: Walk() = %v, %v, want %d", ago, walked.IDs, err, want)
		}
	}
	s.write(t, s.completed(0, 3, "new", "old"))
	if got := s.Value(t, `SELECT (SELECT count(*) FROM regmend.young_repositories) || ' ' || (SELECT count(look_again_at) FROM regmend.data_repair_details)`); got != "0 0" {
		t.Errorf("what was too young is left: %s", got)
	}
}

func TestTheAgeOfWhatIsMissing(t *testing.T) {
	s := newSuite(t, 1)
	var now time.Time
	if err := s.SQL.GetContext(t.Context(), &now, `SELECT now()`); err != nil {
		t.Fatal(err)
	}
	g := postgres.Glance{Run: s.run, Scan: s.at(1), Start: now, MinAge: time.Hour, Projects: s.projects}
	created := map[string]time.Time{
		"old": now.Add(-2 * time.Hour), "young": now.Add(-time.Minute), "unknown": {}, "ancient": time.Unix(0, 0), "of the future": now.Add(1000 * time.Hour),
	}
	var listed []postgres.Listed
	for name, at := range created {
		listed = append(listed, postgres.Listed{ProjectID: s.projects[0].ID, Name: name, CreatedAt: at})
	}
	missing, err := s.DB.Missing(t.Context(), g, listed)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Time{"young": now.Add(59 * time.Minute), "of the future": now.Add(time.Hour)}
	got := map[string]time.Time{}
	for _, m := range missing {
		if !m.OldAt.IsZero() {
			got[m.Name] = m.OldAt
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(30*time.Second)); len(missing) != 5 || diff != "" {
		t.Errorf("%d missing; old at (-want +got):\n%s", len(missing), diff)
	}
}
