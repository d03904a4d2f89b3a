package consumer_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
)

// smallPages make a walk of many pages out of few repositories.
var smallPages = registrytest.Options{CatalogLimit: 100}

// sweep begins a sweep as an operator does.
func (w *world) sweep(run postgres.Run) postgres.Sweep {
	w.t.Helper()
	s, err := w.DB.BeginSweep(w.t.Context(), run, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := tasks.EnqueueSweep(w.t.Context(), w.redis, tasks.Sweep{Run: run.ID, Sweep: s.ID}); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// now is where the sweep is.
func (w *world) now() postgres.Sweep {
	w.t.Helper()
	s, err := w.DB.Sweep(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// swept awaits the end of the sweep, which has to be this.
func (w *world) swept(want postgres.SweepState) postgres.Sweep {
	w.t.Helper()
	w.await("the sweep has ended", func() bool {
		s, err := w.DB.Sweep(w.t.Context())
		return err == nil && s.Ended()
	})
	s := w.now()
	if s.State != want {
		w.t.Fatalf("the sweep is %s (%s), want %s", s.State, s.Reason, want)
	}
	return s
}

// catalogPages counts the pages of the catalog that were asked for.
func (w *world) catalogPages() int { return len(w.registry.Requests(registrytest.Catalog)) }

func TestSweep_ProvesEveryProjectByTheCatalog(t *testing.T) {
	w := newWorldOf(t, smallPages)
	const projects = 3000
	w.projects(projects)
	w.registry.Push("nobody/app", "v1")
	run := w.begin()
	w.consumer()
	w.await("the witness was heard", func() bool { return w.redis.Exists(t.Context(), "regmend:witness").Val() == 1 })
	w.registry.Forget()
	w.sweep(run)
	s := w.swept(postgres.SweepDone)
	w.checkApps(projects)
	if got := w.counts(); got.Completed != projects || !got.Balanced() {
		t.Errorf("%+v, want all completed", got)
	}
	const listed = 2 + projects/10*2 // the group's own, somebody's, and two for each tenth project
	want := postgres.Sweep{Pages: 7, Projects: projects, Repositories: listed, Unowned: 2, Candidates: projects / 10, Proven: projects - projects/10}
	got := postgres.Sweep{Pages: s.Pages, Projects: s.Projects, Repositories: s.Repositories, Unowned: s.Unowned, Candidates: s.Candidates, Proven: s.Proven}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the sweep (-want +got):\n%s", diff)
	}
	// One more of the catalog in case 1000 are too many, one to see that it is over.
	if n := w.catalogPages(); n != 1+7+1 {
		t.Errorf("%d pages were asked for, want 9", n)
	}
	if n := len(w.registry.Requests(registrytest.Tags)); n != projects/10 {
		t.Errorf("%d repositories were asked for their tags, want one for each candidate", n)
	}
	if n := len(w.registry.Requests(registrytest.List)); n > projects/10+1 {
		t.Errorf("%d projects were listed, want those that miss something, and the control at most", n)
	}
	var unowned []string
	if err := w.DB.Unowned(t.Context(), func(path string) error { unowned = append(unowned, path); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"group", "nobody/app"}, unowned); diff != "" {
		t.Errorf("unowned (-want +got):\n%s", diff)
	}
}

// Scans and sweeps say the same of the same world, and both what is true.
func TestSweep_EqualsScans(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]registrytest.Options{
		"C":            {CatalogLimit: 100},
		"glibc":        {CatalogLimit: 100, Collation: registrytest.Glibc},
		"distribution": {CatalogLimit: 100, Mode: registrytest.Distribution},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, options)
			w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, registrytest.Overlap(7))
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			made := gitlabtest.Generate(seed, 300)
			if err := made.Insert(t.Context(), w.SQL); err != nil {
				t.Fatal(err)
			}
			made.Push(w.registry.Push)
			w.set("flush_after", "1s")
			w.set("batch_size", "300")
			w.begin()
			w.consumer()
			w.producer()
			w.await("every project is scanned", func() bool { return w.counts().Pending == 0 && w.stashed() == 0 })
			scanned := w.missing()
			w.set("strategy", "sweep")
			run := w.begin()
			w.await("every project has its result", func() bool { return w.counts().Pending == 0 && w.stashed() == 0 })
			if s := w.swept(postgres.SweepDone); s.Proven < 230 {
				t.Errorf("only %d of 300 projects were proven", s.Proven)
			}
			if diff := cmp.Diff(scanned, w.missing()); diff != "" {
				t.Errorf("missing repositories (-scans +sweep):\n%s", diff)
			}
			w.checkOracle(run.ID)
		})
	}
}

// missing is everything that is missing.
func (w *world) missing() []string {
	w.t.Helper()
	var all []string
	if err := w.SQL.SelectContext(w.t.Context(), &all, `SELECT project_id || ' ' || name FROM regmend.missing_repositories`); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// checkOracle holds every result against what is true.
func (w *world) checkOracle(run int64) {
	w.t.Helper()
	want, err := gitlabtest.Outcomes(w.t.Context(), w.SQL, w.registry.Tagged(), run)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := gitlabtest.Results(w.t.Context(), w.SQL)
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := gitlabtest.Differences(want, got); diff != "" {
		w.t.Errorf("results (-oracle +got):\n%s", diff)
	}
}
