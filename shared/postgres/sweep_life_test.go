package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lib/pq"
)

func TestThereIsOneSweepAtATime(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	if got, err := s.DB.Sweep(t.Context()); !errors.Is(err, gitlab.ErrNotFound) {
		t.Errorf("Sweep() before the first = %+v, %v, want ErrNotFound", got, err)
	}
	first := s.begin(t)
	if first.State != postgres.SweepPreparing || first.Scan <= s.run.Scan || first.Run != s.run.ID || first.Ended() {
		t.Errorf("BeginSweep() = %+v", first)
	}
	if got, err := s.DB.BeginSweep(t.Context(), s.run, "a test"); !errors.Is(err, postgres.ErrSweepRunning) {
		t.Errorf("BeginSweep() while one is under way = %+v, %v, want ErrSweepRunning", got, err)
	}
	if err := s.DB.FailSweep(t.Context(), first, "no\x00 reason"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.DB.Sweep(t.Context()); err != nil || got.State != postgres.SweepFailed || got.Reason != "no\uFFFD reason" || !got.Ended() || got.EndedAt.IsZero() {
		t.Errorf("Sweep() that failed = %+v, %v", got, err)
	}
	second := s.begin(t)
	s.run = s.Run(t)
	third := s.begin(t)
	if third.ID <= second.ID || third.Scan <= second.Scan {
		t.Errorf("BeginSweep() in a new run = %+v, want it newer than %+v", third, second)
	}
	if got := s.Value(t, `SELECT state || ': ' || reason FROM regmend.sweeps WHERE id = $1`, second.ID); got != "failed: another run was begun" {
		t.Errorf("the sweep of the older run is %s", got)
	}
	s.sweepOn(t, third)
}

// sweepOn makes every step that is left of a sweep whose catalog is empty.
func (s *suite) sweepOn(t *testing.T, sweep postgres.Sweep) postgres.Sweep {
	t.Helper()
	return s.prove(t, s.walk(t, s.keep(t, sweep), nil))
}

func TestAWalkBegunAnewForgetsEverything(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	sweep := s.walk(t, s.keep(t, s.begin(t)), []string{"group/app-a/x", "nobody/x"}, []string{"group/app-b/y"})
	s.ask(t, sweep)
	s.Exec(t, `UPDATE public.routes SET path = 'Group/new' WHERE path = 'Group/app-c'`)
	again, err := s.DB.RestartWalk(t.Context(), sweep, "its position is lost")
	want := postgres.Sweep{ID: sweep.ID, Run: sweep.Run, State: postgres.SweepPreparing, Reason: "its position is lost", StartedBy: "a test", StartedAt: sweep.StartedAt}
	if diff := cmp.Diff(want, again, cmpopts.IgnoreFields(postgres.Sweep{}, "Scan")); err != nil || diff != "" || again.Scan <= sweep.Scan {
		t.Errorf("RestartWalk() = %+v, %v, want a higher scan number (-want +got):\n%s", again, err, diff)
	}
	again = s.walk(t, s.keep(t, again), []string{"group/app-b/z", "nobody/y"})
	if got, want := s.ask(t, again), []string{"group/app-b/z"}; !cmp.Equal(got, want) {
		t.Errorf("asked for the tags of %v, want %v", got, want)
	}
	again = s.prove(t, again)
	s.projects[2].FullPath = "Group/new"
	wantSwept(t, s.Database, s.swept(again, 0), s.swept(again, 1, "z"), s.swept(again, 2))
	if got, want := s.unowned(t), []string{"nobody/y"}; !cmp.Equal(got, want) {
		t.Errorf("Unowned() = %v, want %v", got, want)
	}
}

func TestUnownedIsOfTheLastWalkThatCameToItsEnd(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	if err := s.DB.Unowned(t.Context(), nil); !errors.Is(err, gitlab.ErrNotFound) {
		t.Errorf("Unowned() without a walk = %v, want ErrNotFound", err)
	}
	s.sweep(t, []string{"nobody/a"})
	want := func(paths ...string) {
		t.Helper()
		if got := s.unowned(t); !cmp.Equal(got, paths) {
			t.Errorf("Unowned() = %v, want %v", got, paths)
		}
	}
	want("nobody/a")
	second := s.walk(t, s.keep(t, s.begin(t)), []string{"nobody/b"})
	want("nobody/b")
	if err := s.DB.FailSweep(t.Context(), second, "a test"); err != nil {
		t.Fatal(err)
	}
	want("nobody/a")
	third := s.keep(t, s.begin(t))
	if _, err := s.DB.SweepPage(t.Context(), third, []string{"nobody/c"}, "page 2"); err != nil {
		t.Fatal(err)
	}
	want("nobody/a")
}

func TestUnownedGoesThroughManyPagesAndEndsWithItsReader(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 0)
	var page []string
	for i := range 12000 {
		page = append(page, fmt.Sprintf("nobody/%05d", i))
	}
	s.sweep(t, page[6000:], page[:6000])
	if diff := cmp.Diff(page, s.unowned(t)); diff != "" {
		t.Errorf("Unowned() (-want +got):\n%s", diff)
	}
	enough := errors.New("enough")
	if err := s.DB.Unowned(t.Context(), func(string) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Unowned() = %v, want its reader's error", err)
	}
	replace := func(path string) error {
		if path == page[0] {
			s.sweep(t, page[:3])
		}
		return nil
	}
	if err := s.DB.Unowned(t.Context(), replace); err == nil || !strings.Contains(err.Error(), "read it again") {
		t.Errorf("Unowned() while the list is replaced = %v, want to be told so", err)
	}
}

func TestPathsThatNoRegistryCanHoldAreNoRepositories(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	sweep := s.sweep(t, []string{"", "group/app-a/\x00", "group/app-a/\xff", "group/app-a/" + strings.Repeat("a", 5000), "group/app-a/"})
	wantSwept(t, s.Database, s.swept(sweep, 0))
	if got, want := s.unowned(t), []string{"group/app-a/"}; !cmp.Equal(got, want) {
		t.Errorf("Unowned() = %v, want %v", got, want)
	}
}

// TestWhatIsLeftOfOldSweepsGoesAndNothingElse deletes while a sweep is at each
// of its steps.
func TestWhatIsLeftOfOldSweepsGoesAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	leave := func() {
		t.Helper()
		s.Exec(t, `INSERT INTO regmend.sweep_projects (scan_number, project_id, full_path, route)
			SELECT n, i, 'x', '1' FROM unnest('{1,900000}'::bigint[]) AS n, unnest('{1,2,70000,900000000}'::bigint[]) AS i`)
		s.Exec(t, `INSERT INTO regmend.sweep_candidates (scan_number, project_id, name, in_catalog, reported) VALUES (1, 1, 'x', true, false), (900000, 1, 'x', true, false)`)
		s.Exec(t, `INSERT INTO regmend.unowned_repositories (scan_number, path) VALUES (1, 'old'), (900000, 'old')`)
	}
	const left = `SELECT count(*) FROM (
		SELECT scan_number FROM regmend.sweep_projects UNION ALL SELECT scan_number FROM regmend.sweep_candidates
		UNION ALL SELECT scan_number FROM regmend.unowned_repositories) AS all_rows WHERE scan_number IN (1, 900000)`
	gone := func(when string) {
		t.Helper()
		if got := s.Value(t, left); got != "0" {
			t.Errorf("%s rows are left %s", got, when)
		}
	}
	leave()
	sweep := s.keep(t, s.begin(t))
	gone("when one has begun")
	leave()
	sweep = s.walk(t, sweep, []string{"group/app-a/x", "nobody/x"})
	s.ask(t, sweep)
	// Another one ends, as it were.
	if err := s.DB.DropLeftovers(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone("while one is under way")
	leave()
	sweep = s.prove(t, sweep)
	gone("when one is done")
	wantSwept(t, s.Database, s.swept(sweep, 0, "x"), s.swept(sweep, 1), s.swept(sweep, 2))
	if got, want := s.unowned(t), []string{"nobody/x"}; !cmp.Equal(got, want) {
		t.Errorf("Unowned() = %v, want %v", got, want)
	}
	leave()
	if err := s.DB.FailSweep(t.Context(), s.begin(t), "a test"); err != nil {
		t.Fatal(err)
	}
	gone("when one has failed")
}

// TestASweepAndTheOracleAgree is of worlds that an oracle of others judges.
func TestASweepAndTheOracleAgree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		db := postgrestest.New(t)
		world := gitlabtest.Generate(seed, 1000)
		if err := world.Insert(t.Context(), db.SQL); err != nil {
			t.Fatal(err)
		}
		s := &suite{Database: db, run: db.Run(t)}
		s.DB.Chop(400, 130, 20)
		var catalog, tagged []string
		world.Push(func(path string, tags ...string) {
			catalog = append(catalog, path)
			if len(tags) > 0 {
				tagged = append(tagged, path)
			}
		})
		slices.Sort(tagged)
		sweep := s.walk(t, s.keep(t, s.begin(t)), slices.Collect(slices.Chunk(catalog, 70))...)
		for {
			candidates, err := s.DB.SweepCandidates(t.Context(), sweep, 100)
			if err != nil || len(candidates) == 0 {
				break
			}
			var answers []postgres.TaggedCandidate
			for _, c := range candidates {
				_, found := slices.BinarySearch(tagged, gitlab.Project{FullPath: c.FullPath}.RepositoryPath(c.Name))
				answers = append(answers, postgres.TaggedCandidate{Candidate: c, Tagged: found})
			}
			if err := s.DB.SetTagged(t.Context(), sweep, answers); err != nil {
				t.Fatal(err)
			}
		}
		s.prove(t, sweep)
		s.confirmLooks(t, sweep, tagged)
		wantOutcomes(t, s, tagged)
	}
}

// confirmLooks writes what scans after the sweep would that saw the same, where the
// registry lists what is tagged.
func (s *suite) confirmLooks(t *testing.T, sweep postgres.Sweep, tagged []string) {
	t.Helper()
	var looks []struct {
		ID    int64  `db:"project_id"`
		Path  string `db:"full_path"`
		Names pq.StringArray
	}
	err := s.SQL.SelectContext(t.Context(), &looks, `SELECT project_id, full_path, ARRAY(
		SELECT name FROM regmend.looked_repositories n WHERE n.project_id = l.project_id) AS names FROM regmend.looks l`)
	if err != nil {
		t.Fatal(err)
	}
	s.Exec(t, `SELECT setval('regmend.scan_number', $1)`, sweep.Scan+1)
	var results []gitlab.Result
	for _, l := range looks {
		p, listed := gitlab.Project{ID: l.ID, FullPath: l.Path}, 0
		for _, path := range tagged {
			if _, own := p.Owns(path); own {
				listed++
			}
		}
		results = append(results, gitlab.Result{
			Run: s.run.ID, Scan: sweep.Scan + 1, Project: p, Status: gitlab.Completed,
			Missing: l.Names, Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: listed},
		})
	}
	s.write(t, results...)
}

func wantOutcomes(t *testing.T, s *suite, tagged []string) {
	t.Helper()
	want, err := gitlabtest.Outcomes(t.Context(), s.SQL, tagged, s.run.ID)
	if err != nil {
		t.Fatal(err)
	}
	results, err := gitlabtest.Results(t.Context(), s.SQL)
	if err != nil {
		t.Fatal(err)
	}
	for id, outcome := range want {
		if outcome.Status == "failed" {
			delete(want, id) // without a route: that is for a scan to say
		}
	}
	for i, r := range results {
		// The catalog has repositories without tags, too.
		if results[i].Listed = want[r.ProjectID].Listed; r.Listed < results[i].Listed {
			t.Errorf("project %d: %d listed, want %d at least", r.ProjectID, r.Listed, results[i].Listed)
		}
	}
	if diff := gitlabtest.Differences(want, results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}
