package postgres_test

import (
	"testing"

	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

// sweepThrough makes every step of a sweep with these pages; tagged says which
// candidates have tags.
func (s *suite) sweepThrough(t *testing.T, tagged func(postgres.Candidate) bool, pages ...[]string) postgres.Sweep {
	t.Helper()
	sweep, err := s.DB.BeginSweep(t.Context(), s.run, "a test")
	for err == nil && sweep.State == postgres.SweepPreparing {
		sweep, err = s.DB.Keep(t.Context(), sweep)
	}
	for i, page := range pages {
		next := ""
		if i < len(pages)-1 {
			next = "page " + string(rune('2'+i))
		}
		if err == nil {
			sweep, err = s.DB.SweepPage(t.Context(), sweep, page, next)
		}
	}
	for err == nil && !sweep.Ended() {
		var asked []postgres.Candidate
		var answers []postgres.TaggedCandidate
		asked, err = s.DB.SweepCandidates(t.Context(), sweep, 2)
		for _, c := range asked {
			answers = append(answers, postgres.TaggedCandidate{Candidate: c, Tagged: tagged(c)})
		}
		if err == nil {
			err = s.DB.SetTagged(t.Context(), sweep, answers)
		}
		if err == nil && len(asked) == 0 {
			sweep, err = s.DB.Prove(t.Context(), sweep)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return sweep
}

func everyTag(postgres.Candidate) bool { return true }

func (s *suite) sweptRow(project int, scan int64, names ...string) stored {
	row := s.completedRow(project, 0, names...)
	row.Scan = scan
	return row
}

func TestASweepFindsWhatIsMissing(t *testing.T) {
	s := newSuite(t, 4)
	s.Repository(t, s.projects[1].ID, "web")
	sweep := s.sweepThrough(t, func(c postgres.Candidate) bool { return c.Name != "emptied" },
		[]string{"group/app-a", "group/app-b/web", "nobody/x"},
		[]string{"group/app-c/a/b", "group/app-a/emptied", "nobody/x", "group/app-a"})
	wantRows(t, s.Database, s.sweptRow(0, sweep.Scan, ""), s.sweptRow(1, sweep.Scan), s.sweptRow(2, sweep.Scan, "a/b"), s.sweptRow(3, sweep.Scan))
	var unowned []string
	err := s.DB.Unowned(t.Context(), func(path string) error { unowned = append(unowned, path); return nil })
	if diff := cmp.Diff([]string{"nobody/x"}, unowned); err != nil || diff != "" {
		t.Errorf("Unowned() = %v (-want +got):\n%s", err, diff)
	}
}
