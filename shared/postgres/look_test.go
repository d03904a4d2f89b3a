package postgres_test

import (
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

// looked is a look at a project that misses those names.
func (s *suite) looked(project int, scan int64, missing ...string) gitlab.Result {
	r := s.completed(project, scan, missing...)
	r.Status = gitlab.Looked
	return r
}

// aged moves what was looked at into the past.
func (s *suite) aged(t *testing.T, by time.Duration) {
	t.Helper()
	s.Exec(t, `UPDATE regmend.looks SET looked_at = looked_at - $1 * interval '1 s'`, by.Seconds())
	s.Exec(t, `UPDATE regmend.looked_repositories SET looked_at = looked_at - $1 * interval '1 s'`, by.Seconds())
}

// looks are the looks as text: project's place, scan, names.
func (s *suite) wantLooks(t *testing.T, want string) {
	t.Helper()
	got := s.Value(t, `SELECT coalesce(string_agg(l.project_id - $1 || ' ' || l.scan_number - $2 || ' ' ||
		coalesce((SELECT string_agg(name, ',' ORDER BY name) FROM regmend.looked_repositories n WHERE n.project_id = l.project_id), ''), '; ' ORDER BY l.project_id), '')
		FROM regmend.looks l`, s.projects[0].ID, s.run.Scan)
	if got != want {
		t.Errorf("looks are %q, want %q", got, want)
	}
}

// confirmed are the names that a scan finds confirmed, of those listed.
func (s *suite) confirmed(t *testing.T, scan int64, apart time.Duration, names ...string) (confirmed []string) {
	t.Helper()
	var now time.Time
	if err := s.SQL.GetContext(t.Context(), &now, `SELECT now()`); err != nil {
		t.Fatal(err)
	}
	g := postgres.Glance{Run: s.run, Scan: s.at(scan), Start: now, Apart: apart, Projects: s.projects[:1]}
	var listed []postgres.Listed
	for _, name := range names {
		listed = append(listed, postgres.Listed{ProjectID: s.projects[0].ID, Name: name})
	}
	missing, err := s.DB.Missing(t.Context(), g, listed)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range missing {
		if m.Confirmed {
			confirmed = append(confirmed, m.Name)
		}
	}
	return confirmed
}

func TestALookIsNoRow(t *testing.T) {
	s := newSuite(t, 2)
	if got, want := s.write(t, s.looked(0, 1, "x", "y")), (postgres.Written{Looked: 1}); got != want {
		t.Errorf("Write() = %+v, want %+v", got, want)
	}
	wantRows(t, s.Database)
	s.wantLooks(t, "0 1 x,y")
	counts, err := s.DB.Counts(t.Context(), s.run)
	if err != nil || counts.Pending != 2 || counts.Looked != 1 || !counts.Balanced() {
		t.Errorf("Counts() = %+v, %v, want 2 pending, 1 of them looked", counts, err)
	}
	s.write(t, s.completed(0, 2, "x"))
	wantRows(t, s.Database, s.completedRow(0, 2, "x"))
	s.wantLooks(t, "")
}

// Results arrive in any order, and tasks run twice.
func TestP5_LooksObeyTheOrderOfScans(t *testing.T) {
	for name, test := range map[string]struct {
		of    func(s *suite) []gitlab.Result
		rows  func(s *suite) []stored
		looks string
	}{
		"an older look replaces no newer one": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.looked(0, 1, "x"), s.looked(0, 2, "y")} },
			func(*suite) []stored { return nil }, "0 2 y",
		},
		"an older look comes too late for a newer row": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.looked(0, 1, "x"), s.completed(0, 2, "y")} },
			func(s *suite) []stored { return []stored{s.completedRow(0, 2, "y")} }, "",
		},
		"a newer look leaves an older row": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 1, "x"), s.looked(0, 2, "y")} },
			func(s *suite) []stored { return []stored{s.completedRow(0, 1, "x")} }, "0 2 y",
		},
		"a failure leaves a look": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.looked(0, 1, "x"), s.failed(0, 2, "500")} },
			func(s *suite) []stored { return []stored{s.failedRow(0, 2, "500")} }, "0 1 x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range [][]int{{0, 1}, {1, 0}, {0, 1, 1, 0}, {1, 0, 0, 1}} {
				s := newSuite(t, 1)
				for _, i := range order {
					s.write(t, test.of(s)[i])
				}
				wantRows(t, s.Database, test.rows(s)...)
				s.wantLooks(t, test.looks)
			}
			s := newSuite(t, 1)
			s.write(t, test.of(s)...)
			wantRows(t, s.Database, test.rows(s)...)
			s.wantLooks(t, test.looks)
		})
	}
}

func TestALookConfirmsWhatItMissedLongEnoughBefore(t *testing.T) {
	s := newSuite(t, 1)
	s.write(t, s.looked(0, 1, "x", "y"))
	if got := s.confirmed(t, 2, time.Minute, "x", "y", "z"); len(got) > 0 {
		t.Errorf("%v are confirmed at once, want a minute between the looks", got)
	}
	s.aged(t, time.Minute)
	if diff := cmp.Diff([]string{"x", "y"}, s.confirmed(t, 2, time.Minute, "x", "y", "z")); diff != "" {
		t.Errorf("confirmed (-want +got):\n%s", diff)
	}
	if got := s.confirmed(t, 1, 0, "x"); len(got) > 0 {
		t.Errorf("the scan itself confirms %v", got)
	}
	s.write(t, s.looked(0, 2, "y", "z")) // x had a row, or was not listed
	if diff := cmp.Diff([]string{"y"}, s.confirmed(t, 3, time.Minute, "x", "y", "z")); diff != "" {
		t.Errorf("a known name keeps the time it was first seen at, confirmed (-want +got):\n%s", diff)
	}
	s.Repository(t, s.projects[0].ID, "y")
	if got := s.confirmed(t, 3, 0, "y"); len(got) > 0 {
		t.Errorf("%v is confirmed, and has a row", got)
	}
}

func TestWhatALookOfAnotherPathRunOrTimeMissedConfirmsNothing(t *testing.T) {
	for name, happens := range map[string]func(t *testing.T, s *suite){
		"the project was renamed": func(t *testing.T, s *suite) {
			s.Exec(t, `UPDATE public.routes SET path = 'Group/new' WHERE source_type = 'Project'`)
			s.projects[0].FullPath = "Group/new"
		},
		"a new run was begun":        func(t *testing.T, s *suite) { s.run = s.Run(t) },
		"a scan has completed since": func(t *testing.T, s *suite) { s.write(t, s.completed(0, 2)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, 1)
			s.write(t, s.looked(0, 1, "x"))
			s.aged(t, time.Hour)
			happens(t, s)
			if got := s.confirmed(t, 900, 0, "x"); len(got) > 0 {
				t.Errorf("%v is confirmed", got)
			}
			s.Exec(t, `SELECT setval('regmend.scan_number', 5000)`)
			s.write(t, s.looked(0, 901, "x"))
			if got := s.confirmed(t, 902, time.Minute, "x"); len(got) > 0 {
				t.Errorf("%v keeps the time of the look that counts for nothing", got)
			}
		})
	}
}

func TestALookOfAProjectThatIsAnotherByNowIsDiscarded(t *testing.T) {
	s := newSuite(t, 2)
	s.Exec(t, `UPDATE public.routes SET path = 'Group/new' WHERE path = 'Group/app-a'`)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[1].ID)
	if got, want := s.write(t, s.looked(0, 1, "x"), s.looked(1, 1, "x")), (postgres.Written{Discarded: 2}); got != want {
		t.Errorf("Write() = %+v, want %+v", got, want)
	}
	s.wantLooks(t, "")
}

func TestTheWalkAndBatchesPassOverALookThatIsNotDue(t *testing.T) {
	s := newSuite(t, 2)
	s.write(t, s.looked(0, 5, "x"), s.completed(1, 5))
	open := func(after int64) ([]int64, time.Duration) {
		t.Helper()
		loaded, err := s.DB.Load(t.Context(), s.run, time.Minute, []int64{s.projects[0].ID, s.projects[1].ID}, s.at(after))
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, p := range loaded.Projects {
			ids = append(ids, p.ID)
		}
		return ids, loaded.Early
	}
	walk := func() []int64 {
		t.Helper()
		walked, err := s.DB.Walk(t.Context(), s.run, time.Minute, nil, 0, 100, 100)
		if err != nil {
			t.Fatal(err)
		}
		return walked.IDs
	}
	if ids, early := open(4); len(ids) > 0 || early <= 50*time.Second || early > time.Minute {
		t.Errorf("a batch scans %v, early by %s, want none, a minute too early", ids, early)
	}
	if got := walk(); len(got) > 0 {
		t.Errorf("the walk finds %v", got)
	}
	if ids, _ := open(5); len(ids) != 2 {
		t.Errorf("what is forced after the look scans %v, want both", ids)
	}
	s.aged(t, time.Minute)
	want := []int64{s.projects[0].ID}
	if ids, early := open(4); !cmp.Equal(ids, want) || early != 0 {
		t.Errorf("a batch scans %v, early by %s, want %v", ids, early, want)
	}
	if got := walk(); !cmp.Equal(got, want) {
		t.Errorf("the walk finds %v, want %v", got, want)
	}
	s.write(t, s.failed(0, 6, "500"))
	if got := walk(); len(got) > 0 {
		t.Errorf("the walk finds %v, which failed and is not to be tried again yet", got)
	}
}

func TestAForcedLookBesideARowIsFollowedByASecond(t *testing.T) {
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 1, "x"), s.looked(0, 2, "x", "y"))
	walked, err := s.DB.Walk(t.Context(), s.run, 0, nil, 0, 100, 100)
	if err != nil || len(walked.IDs) != 1 {
		t.Errorf("Walk() = %v, %v, want the project", walked.IDs, err)
	}
	if got := s.confirmed(t, 3, 0, "x", "y"); len(got) != 2 {
		t.Errorf("confirmed %v, want both", got)
	}
}

func TestLooksThatCountForNothingAreDropped(t *testing.T) {
	s := newSuite(t, 3)
	s.write(t, s.looked(0, 1, "x"), s.looked(1, 1, "x"), s.looked(2, 1, "x"))
	s.Exec(t, `DELETE FROM public.projects WHERE id = $1`, s.projects[0].ID)
	s.Exec(t, `UPDATE regmend.looks SET run_id = run_id - 1 WHERE project_id = $1 AND run_id > 1`, s.projects[1].ID)
	if err := s.DB.DropLooks(t.Context(), s.run, 0, 1<<62); err != nil {
		t.Fatal(err)
	}
	if got := s.Value(t, `SELECT string_agg((project_id - $1)::text, ',' ORDER BY project_id) FROM regmend.looks WHERE project_id <> $2 OR run_id = $3`,
		s.projects[0].ID, s.projects[1].ID, s.run.ID); got == "" || got[0] == '0' {
		t.Errorf("looks left at %s", got)
	}
}
