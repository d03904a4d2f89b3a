package postgres_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"golang.org/x/sync/errgroup"
)

// errDone ends a worker of a sweep that is over.
var errDone = errors.New("done")

// advance makes the next step of the sweep as it stands in the table: of pages
// the one that its position names.
func (s *suite) advance(db *postgres.DB, pages [][]string, t *testing.T) error {
	sweep, err := s.DB.Sweep(t.Context())
	if err != nil {
		return err
	}
	switch sweep.State {
	case postgres.SweepPreparing:
		_, err = db.Keep(t.Context(), sweep)
	case postgres.SweepWalking:
		at := 0
		if sweep.Position != "" {
			if _, err := fmt.Sscanf(sweep.Position, "page %d", &at); err != nil {
				return err
			}
		}
		next := ""
		if at < len(pages)-1 {
			next = fmt.Sprint("page ", at+1)
		}
		_, err = db.SweepPage(t.Context(), sweep, pages[at], next)
	case postgres.SweepJudging:
		var asked []postgres.Candidate
		var answers []postgres.TaggedCandidate
		asked, err = db.SweepCandidates(t.Context(), sweep, 3)
		for _, c := range asked {
			answers = append(answers, postgres.TaggedCandidate{Candidate: c, Tagged: true})
		}
		if err == nil && len(asked) > 0 {
			return db.SetTagged(t.Context(), sweep, answers)
		}
		if err == nil {
			_, err = db.Prove(t.Context(), sweep)
		}
	default:
		err = errDone
	}
	return err
}

// wideWorld are pages in which every other of the projects misses x, and what
// has to come of them but for the scan number.
func (s *suite) wideWorld(t *testing.T) (pages [][]string, want func(postgres.Sweep) []stored) {
	for i := range s.projects {
		s.Repository(t, s.projects[i].ID, "web")
		path := s.projects[i].RegistryPath()
		pages = append(pages, []string{path + "/web"})
		if i%2 == 0 {
			pages[i] = append(pages[i], path+"/x", fmt.Sprint("nobody/", i))
		}
	}
	return pages, func(sweep postgres.Sweep) []stored {
		var want []stored
		for i := range s.projects {
			if i%2 == 0 {
				want = append(want, s.swept(sweep, i, "x"))
			} else {
				want = append(want, s.swept(sweep, i))
			}
		}
		return want
	}
}

func (s *suite) wantWideWorld(t *testing.T, want func(postgres.Sweep) []stored) {
	t.Helper()
	sweep, err := s.DB.Sweep(t.Context())
	n := len(s.projects)
	if err != nil || sweep.State != postgres.SweepDone || sweep.Pages != n || sweep.Projects != int64(n) || sweep.Proven != int64(n/2) ||
		sweep.Candidates != int64((n+1)/2) || sweep.Unowned != int64((n+1)/2) {
		t.Errorf("Sweep() = %+v, %v, want it done, and everything counted once", sweep, err)
	}
	wantSwept(t, s.Database, want(sweep)...)
}

func TestManyThatBelieveThatTheSweepIsTheirs(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 21)
	s.DB.Chop(4, 5, 3)
	pages, want := s.wideWorld(t)
	s.begin(t)
	var group errgroup.Group
	for range 6 {
		group.Go(func() error {
			for {
				err := s.advance(s.DB, pages, t)
				switch {
				case errors.Is(err, errDone):
					return nil
				case err != nil && !errors.Is(err, postgres.ErrSweepMoved):
					return err
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.wantWideWorld(t, want)
}

// TestP11_ASweepGoesOnWhereverItIsKilled ends the server's process when it is
// asked to commit, every other time.
func TestP11_ASweepGoesOnWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 5)
	s.DB.Chop(2, 2, 1)
	pages, want := s.wideWorld(t)
	s.begin(t)
	s.Exec(t, `CREATE SEQUENCE commits`)
	s.Exec(t, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN IF nextval(''public.commits'') % 2 = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); END IF; RETURN NULL; END'`)
	s.Exec(t, `CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON regmend.sweeps
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`)
	deaths := 0
	for err := error(nil); !errors.Is(err, errDone); err = s.advance(s.DB, pages, t) {
		if err != nil {
			deaths++
		}
	}
	// Three times it kept, each of the pages and a step of three chunks at least,
	// the end.
	if deaths < 3+5+3+1 {
		t.Errorf("it was killed %d times, want 12 at least", deaths)
	}
	s.wantWideWorld(t, want)
}

// TestP11_ASweepGoesOnWhereTheReplyToACommitIsLost loses it at the first try of
// each step.
func TestP11_ASweepGoesOnWhereTheReplyToACommitIsLost(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 5)
	pages, want := s.wideWorld(t)
	s.begin(t)
	proxy, url := proxied(t, s.URL)
	cut := postgrestest.Open(t, url)
	cut.Chop(2, 2, 1)
	for err := error(nil); !errors.Is(err, errDone); {
		proxy.LoseReply("COMMIT", 1)
		if err = s.advance(cut, pages, t); err == nil {
			t.Fatal("a step succeeded without the reply to its commit")
		}
		proxy.LoseReply("COMMIT", 0)
		until(t, "the lost commit", func() bool {
			return s.Value(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == "0"
		})
		if !errors.Is(err, errDone) {
			err = s.advance(cut, pages, t)
		}
	}
	s.wantWideWorld(t, want)
}

func TestASweepOfAnOlderRunIsWorthNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	preparing := s.begin(t)
	walking := s.keep(t, preparing)
	judging := s.walk(t, walking, []string{"group/app-a/x"})
	s.Run(t)
	for step, err := range map[string]error{
		"Keep":            second(s.DB.Keep(t.Context(), preparing)),
		"SweepPage":       second(s.DB.SweepPage(t.Context(), walking, nil, "")),
		"SweepCandidates": second(s.DB.SweepCandidates(t.Context(), judging, 1)),
		"SetTagged":       s.DB.SetTagged(t.Context(), judging, nil),
		"Prove":           second(s.DB.Prove(t.Context(), judging)),
		"RestartWalk":     second(s.DB.RestartWalk(t.Context(), judging, "a test")),
		"FailSweep":       s.DB.FailSweep(t.Context(), judging, "a test"),
		"BeginSweep":      second(s.DB.BeginSweep(t.Context(), s.run, "a test")),
	} {
		if !errors.Is(err, postgres.ErrRunChanged) {
			t.Errorf("%s() after a new run = %v, want ErrRunChanged", step, err)
		}
	}
	wantSwept(t, s.Database)
}

func second[T any](_ T, err error) error { return err }

func TestAStepOfASweepThatIsElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	preparing := s.begin(t)
	walking := s.keep(t, preparing)
	moved := s.walk(t, walking, []string{"group/app-a/x"}, nil)
	again, err := s.DB.RestartWalk(t.Context(), moved, "a test")
	if err != nil {
		t.Fatal(err)
	}
	ended := s.prove(t, s.walk(t, s.keep(t, again), nil))
	for name, sweep := range map[string]postgres.Sweep{"preparing": preparing, "walking": walking, "judging": moved, "begun anew": again, "ended": ended} {
		for step, err := range map[string]error{
			"Keep":            second(s.DB.Keep(t.Context(), sweep)),
			"SweepPage":       second(s.DB.SweepPage(t.Context(), sweep, nil, "")),
			"SweepCandidates": second(s.DB.SweepCandidates(t.Context(), sweep, 1)),
			"SetTagged":       s.DB.SetTagged(t.Context(), sweep, nil),
			"Prove":           second(s.DB.Prove(t.Context(), sweep)),
			"RestartWalk":     second(s.DB.RestartWalk(t.Context(), sweep, "a test")),
			"FailSweep":       s.DB.FailSweep(t.Context(), sweep, "a test"),
		} {
			if !errors.Is(err, postgres.ErrSweepMoved) {
				t.Errorf("%s() of a sweep that was %s = %v, want ErrSweepMoved", step, name, err)
			}
		}
	}
	if got, err := s.DB.Sweep(t.Context()); err != nil || got != ended {
		t.Errorf("Sweep() = %+v, %v, want %+v", got, err, ended)
	}
}

// TestP9_AProjectDeletedWhileItIsProvenIsLeftOut is of both ways to be proven.
func TestP9_AProjectDeletedWhileItIsProvenIsLeftOut(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 7)
	pages, want := s.wideWorld(t)
	s.Exec(t, `DELETE FROM public.container_repositories`)
	for i := range pages {
		pages[i] = slices.DeleteFunc(pages[i], func(path string) bool { return strings.HasSuffix(path, "/web") })
	}
	sweep := s.walk(t, s.keep(t, s.begin(t)), pages...)
	s.ask(t, sweep)
	deletion := s.SQL.MustBegin()
	deletion.MustExec(`DELETE FROM public.projects WHERE id IN ($1, $2)`, s.projects[2].ID, s.projects[3].ID)
	var group errgroup.Group
	group.Go(func() error {
		_, err := s.DB.Prove(t.Context(), sweep)
		return err
	})
	until(t, "the sweep to meet the deletion", func() bool { return waiting(t, s.Database) })
	if err := deletion.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("Prove() = %v", err)
	}
	// Looks have no foreign key: they are dropped in passing.
	if err := s.DB.DropLooks(t.Context(), s.run, 0, math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	wantSwept(t, s.Database, slices.Delete(want(sweep), 2, 4)...)
}

// TestP5_FlushesAndASweepOfTheSameProjects writes newer results of all projects,
// in both orders, while a sweep is judged.
func TestP5_FlushesAndASweepOfTheSameProjects(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 26)
	s.DB.Chop(100, 7, 3)
	pages, _ := s.wideWorld(t)
	for round := range int64(8) {
		s.Exec(t, `DELETE FROM regmend.data_repair_details`)
		sweep := s.walk(t, s.keep(t, s.begin(t)), pages...)
		s.ask(t, sweep)
		scan := 5000 + 10*round
		s.Exec(t, `SELECT setval('regmend.scan_number', $1)`, s.at(scan))
		var results []gitlab.Result
		var want []stored
		for i := range s.projects {
			results = append(results, s.completed(i, scan, "new", fmt.Sprint("new-", round)))
			want = append(want, s.completedRow(i, scan, "new", fmt.Sprint("new-", round)))
		}
		reversed := slices.Clone(results)
		slices.Reverse(reversed)
		var group errgroup.Group
		for _, results := range [][]gitlab.Result{results, reversed} {
			group.Go(func() error {
				_, err := s.DB.Write(t.Context(), s.run, results)
				return err
			})
		}
		group.Go(func() (err error) {
			for err == nil && !sweep.Ended() {
				sweep, err = s.DB.Prove(t.Context(), sweep)
			}
			return err
		})
		if err := group.Wait(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		// A look that was written just before the newer result counts for nothing.
		if err := s.DB.DropLooks(t.Context(), s.run, 0, math.MaxInt64); err != nil {
			t.Fatal(err)
		}
		wantSwept(t, s.Database, want...)
	}
}
