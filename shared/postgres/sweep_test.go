package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func (s *suite) begin(t *testing.T) postgres.Sweep {
	t.Helper()
	sweep, err := s.DB.BeginSweep(t.Context(), s.run, "a test")
	if err != nil {
		t.Fatal(err)
	}
	return sweep
}

func (s *suite) keep(t *testing.T, sweep postgres.Sweep) postgres.Sweep {
	t.Helper()
	for sweep.State == postgres.SweepPreparing {
		var err error
		if sweep, err = s.DB.Keep(t.Context(), sweep); err != nil {
			t.Fatal(err)
		}
	}
	return sweep
}

func (s *suite) walk(t *testing.T, sweep postgres.Sweep, pages ...[]string) postgres.Sweep {
	t.Helper()
	for i, page := range pages {
		next := ""
		if i < len(pages)-1 {
			next = fmt.Sprint("page ", i+2)
		}
		var err error
		if sweep, err = s.DB.SweepPage(t.Context(), sweep, page, next); err != nil {
			t.Fatal(err)
		}
	}
	return sweep
}

// ask notes for every candidate that it has tags, but for those named.
func (s *suite) ask(t *testing.T, sweep postgres.Sweep, untagged ...string) (asked []string) {
	t.Helper()
	candidates, err := s.DB.SweepCandidates(t.Context(), sweep, 100)
	var answers []postgres.TaggedCandidate
	for _, c := range candidates {
		path := gitlab.Project{FullPath: c.FullPath}.RepositoryPath(c.Name)
		asked = append(asked, path)
		answers = append(answers, postgres.TaggedCandidate{Candidate: c, Tagged: !slices.Contains(untagged, path)})
	}
	if err == nil {
		err = s.DB.SetTagged(t.Context(), sweep, answers)
	}
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

func (s *suite) prove(t *testing.T, sweep postgres.Sweep) postgres.Sweep {
	t.Helper()
	for !sweep.Ended() {
		var err error
		if sweep, err = s.DB.Prove(t.Context(), sweep); err != nil {
			t.Fatal(err)
		}
	}
	return sweep
}

// sweep makes every step of one, with these pages.
func (s *suite) sweep(t *testing.T, pages ...[]string) postgres.Sweep {
	t.Helper()
	sweep := s.walk(t, s.keep(t, s.begin(t)), pages...)
	s.ask(t, sweep)
	return s.prove(t, sweep)
}

// swept is the row that the sweep makes of the project, or its look at it where
// something is missing.
func (s *suite) swept(sweep postgres.Sweep, project int, names ...string) stored {
	row := s.completedRow(project, 0, names...)
	row.Scan = sweep.Scan
	if len(names) > 0 {
		row.Status = "looked"
	}
	return row
}

func (s *suite) unowned(t *testing.T) []string {
	t.Helper()
	paths := []string{}
	if err := s.DB.Unowned(t.Context(), func(path string) error { paths = append(paths, path); return nil }); err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestASweepFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 5)
	s.Repository(t, s.projects[1].ID, "web")
	sweep := s.walk(t, s.keep(t, s.begin(t)),
		[]string{"group/app-a", "group/app-b/web", "nobody/x"},
		[]string{"group/app-c/a/b", "group/app-a/emptied", "nobody/x", "group/app-a", "group"})
	if got, want := s.ask(t, sweep, "group/app-a/emptied"), []string{"group/app-a", "group/app-a/emptied", "group/app-c/a/b"}; !cmp.Equal(got, want) {
		t.Errorf("asked for the tags of %v, want %v", got, want)
	}
	// Of what is a candidate, a row can come before it is judged.
	s.Repository(t, s.projects[2].ID, "a/b")
	sweep = s.prove(t, sweep)
	wantSwept(t, s.Database, s.swept(sweep, 0, ""), s.swept(sweep, 1), s.swept(sweep, 2), s.swept(sweep, 3), s.swept(sweep, 4))
	if got, want := s.unowned(t), []string{"group", "nobody/x"}; !cmp.Equal(got, want) {
		t.Errorf("Unowned() = %v, want %v", got, want)
	}
	want := postgres.Sweep{
		ID: sweep.ID, Run: s.run.ID, Scan: sweep.Scan, State: postgres.SweepDone, StartedBy: "a test", Cursor: s.projects[4].ID,
		Pages: 2, Projects: 5, Repositories: 8, Unowned: 2, Candidates: 3, Proven: 4,
	}
	got, err := s.DB.Sweep(t.Context())
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(postgres.Sweep{}, "StartedAt", "EndedAt")); err != nil || diff != "" {
		t.Errorf("Sweep(), %v (-want +got):\n%s", err, diff)
	}
	if got.StartedAt.IsZero() || got.EndedAt.Before(got.StartedAt) {
		t.Errorf("Sweep() lasted from %v to %v", got.StartedAt, got.EndedAt)
	}
	detail, err := s.DB.Show(t.Context(), s.run, fmt.Sprint(s.projects[1].ID))
	evidence := gitlab.Evidence{Method: "sweep", Pages: 2, Listed: 1}
	if err != nil || !detail.Trusted || detail.ListedPath != "Group/app-b" || detail.Evidence != evidence {
		t.Errorf("Show() = %+v, %v, want %+v", detail, err, evidence)
	}
	if got := s.Value(t, `SELECT (SELECT count(*) FROM regmend.sweep_projects) + (SELECT count(*) FROM regmend.sweep_candidates)`); got != "0" {
		t.Errorf("%s rows that the sweep worked with are left", got)
	}
}

func TestP2_ASweepLeavesToScansWhatItCannotKnow(t *testing.T) {
	t.Parallel()
	const (
		hide = `UPDATE public.projects SET pending_delete = true WHERE id = $1`
		move = `UPDATE public.routes SET path = 'Group/new' WHERE source_id = $1 AND source_type = 'Project'`
		back = `UPDATE public.routes SET path = 'Group/app-a' WHERE source_id = $1 AND source_type = 'Project'`
	)
	tests := map[string]struct{ before, during []string }{
		"renamed":                     {nil, []string{move}},
		"renamed and back":            {nil, []string{move, back}},
		"renamed, replaced":           {nil, []string{move, `UPDATE public.routes SET path = 'Group/app-a' WHERE path = 'Group/app-b'`}},
		"about to be deleted":         {nil, []string{hide}},
		"no longer about to be":       {[]string{hide}, []string{`UPDATE public.projects SET pending_delete = false WHERE id = $1`}},
		"deleted":                     {nil, []string{`DELETE FROM public.projects WHERE id = $1`}},
		"its route is gone":           {nil, []string{`DELETE FROM public.routes WHERE source_id = $1 AND source_type = 'Project'`}},
		"its route is empty":          {[]string{`UPDATE public.routes SET path = '' WHERE source_id = $1 AND source_type = 'Project'`}, nil},
		"two routes":                  {[]string{twoRoutes, `INSERT INTO public.routes (source_id, source_type, path) VALUES ($1, 'Project', 'Group/0')`}, nil},
		"two routes of the same path": {[]string{twoRoutes, `INSERT INTO public.routes (source_id, source_type, path) VALUES ($1, 'Project', 'Group/app-a')`}, nil},
		"its path is lower-cased otherwise here": {[]string{
			`UPDATE public.routes SET path = 'Group/APPLICATION' WHERE source_id = $1 AND source_type = 'Project'`,
			`ALTER TABLE public.routes ALTER COLUMN path TYPE varchar COLLATE "tr-x-icu"`,
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, 3)
			change := func(statements []string) {
				for _, statement := range statements {
					s.Exec(t, strings.ReplaceAll(statement, "$1", fmt.Sprint(s.projects[0].ID)))
				}
			}
			change(test.before)
			sweep := s.keep(t, s.begin(t))
			change(test.during)
			s.prove(t, s.walk(t, sweep, []string{"group/application"}))
			got := s.Value(t, `SELECT string_agg((project_id = $1)::text, ',') FROM regmend.data_repair_details WHERE project_id IN ($1, $2)`,
				s.projects[0].ID, s.projects[2].ID)
			if got != "false" {
				t.Errorf("of the two projects, whether it is that one = %q, want a result of the other alone", got)
			}
		})
	}
}

const twoRoutes = `DROP INDEX public.index_routes_on_path, public.index_routes_on_source_type_and_source_id`

func TestP9_ARouteThatIsThereTwiceHoldsNoSweepUp(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.Exec(t, twoRoutes)
	sweep := s.keep(t, s.begin(t))
	s.Exec(t, `INSERT INTO public.routes (source_id, source_type, path) SELECT source_id, source_type, path FROM public.routes`)
	sweep = s.walk(t, sweep, []string{"group/app-a/x"})
	s.ask(t, sweep)
	sweep = s.prove(t, sweep)
	wantSwept(t, s.Database, s.swept(sweep, 0, "x"), s.swept(sweep, 1))
}

func TestASweepLeavesProjectsThatWereNotThere(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	sweep := s.keep(t, s.begin(t))
	s.Project(t, "Group/later")
	sweep = s.prove(t, s.walk(t, sweep, []string{"group/later/x"}))
	wantSwept(t, s.Database, s.swept(sweep, 0))
	if got := s.unowned(t); len(got) > 0 {
		t.Errorf("Unowned() = %v, want none: a project that came later owns it", got)
	}
}

func TestASweepSurvivesTheFreezingOfRoutes(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	sweep := s.keep(t, s.begin(t))
	s.Exec(t, `VACUUM FREEZE public.routes`)
	sweep = s.prove(t, s.walk(t, sweep, nil))
	wantSwept(t, s.Database, s.swept(sweep, 0))
}

func TestAProjectWithACandidateThatWasNotAskedForIsLeftToAScan(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	sweep := s.prove(t, s.walk(t, s.keep(t, s.begin(t)), []string{"group/app-a/web"}))
	wantSwept(t, s.Database, s.swept(sweep, 1))
}

func TestP5_SweepsAndScansInAnyOrder(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 4)
	s.write(t, s.failed(0, 1, "timeout"), s.failed(1, 1, "timeout"), s.completed(2, 2, "x"))
	sweep := s.begin(t)
	after := func(r gitlab.Result) gitlab.Result { r.Scan = sweep.Scan + 1; return r }
	s.Exec(t, `SELECT setval('regmend.scan_number', $1)`, sweep.Scan+1)
	later := after(s.completed(3, 0, "y"))
	s.write(t, after(s.failed(1, 0, "again")), later)
	sweep = s.keep(t, sweep)
	sweep = s.walk(t, sweep, []string{"group/app-c/x", "group/app-d/y"})
	s.ask(t, sweep)
	sweep = s.prove(t, sweep)
	failed := s.swept(sweep, 1)
	failed.Failure, failed.Error, failed.Attempts, failed.HasNext = sweep.Scan+1, "again", 2, true
	kept := s.completedRow(3, 0, "y")
	kept.Scan = later.Scan
	want := []stored{s.swept(sweep, 0), failed, s.completedRow(2, 2, "x"), kept}
	wantSwept(t, s.Database, want...)
	// What was still on its way changes nothing, but for what began later.
	s.write(t, s.completed(0, 3, "old"), after(s.completed(1, 0, "new")))
	want[1] = s.completedRow(1, 0, "new")
	want[1].Scan = sweep.Scan + 1
	wantSwept(t, s.Database, want...)
}

func TestASweepReplacesResultsThatDoNotCount(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.write(t, s.completed(0, 9, "x", "y"), s.completed(1, 9, "z"))
	// A look stands beside the older row, which counts for nothing.
	older := s.completedRow(1, 9, "z")
	s.run = s.Run(t)
	sweep := s.sweep(t, []string{"group/app-b/new"})
	wantSwept(t, s.Database, s.swept(sweep, 0), older, s.swept(sweep, 1, "new"))
}

// The catalog's entries come in any order, on any page, in any process.
func TestSweepAbsent(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 0)
	one, two := s.Project(t, "g/one"), s.Project(t, "G/Two")
	for _, known := range []postgres.Listed{{ProjectID: one, Name: ""}, {ProjectID: one, Name: "a/b"}, {ProjectID: two, Name: "a"}, {ProjectID: two, Name: "b"}} {
		s.Repository(t, known.ProjectID, known.Name)
	}
	away, back := s.Project(t, "g/away"), s.Project(t, "g/back")
	for _, moved := range []int64{away, back} {
		s.Repository(t, moved, "x")
	}
	sweep := s.keep(t, s.begin(t))
	s.Exec(t, `UPDATE public.routes SET path = path || '-2' WHERE path IN ('g/away', 'g/back')`)
	s.Exec(t, `UPDATE public.routes SET path = 'g/back' WHERE path = 'g/back-2'`)
	s.Repository(t, two, "later")
	sweep = s.walk(t, sweep, []string{"g/two/a"}, []string{"g/one/x"}, []string{"g/one", "g/two/a"})
	got, err := s.DB.SweepAbsent(t.Context(), sweep)
	want := []postgres.Candidate{{ProjectID: one, FullPath: "g/one", Name: "a/b"}, {ProjectID: two, FullPath: "G/Two", Name: "b"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("SweepAbsent(), %v (-want +got):\n%s", err, diff)
	}
}
