package consumer_test

import (
	"net/http"
	"strings"
	"testing"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
)

// A registry that lost everything a moment ago has a catalog, too.
func TestP10_AnEmptyCatalogIsNoProof(t *testing.T) {
	t.Parallel()
	empty := registrytest.Answer(http.StatusOK, nil, `{"repositories":[]}`)
	t.Run("the registry lost everything", func(t *testing.T) {
		w := newWorld(t)
		w.projects(300)
		run := w.begin()
		w.consumer()
		w.await("the witness was heard", func() bool { return w.redis.Exists(t.Context(), "regmend:witness").Val() == 1 })
		catalog := w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, empty)
		lists := w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Answer(http.StatusOK, nil, "[]"))
		w.sweep(run)
		w.await("the registry is why all hold", w.holds(board.HoldRegistry))
		if got := w.counts().Pending; got != 300 {
			t.Errorf("%d projects are pending, want all", got)
		}
		catalog()
		lists()
		w.within(recovery, "the sweep has ended", func() bool { return w.now().State == postgres.SweepDone })
		w.checkApps(300)
	})
	t.Run("only the catalog is empty", func(t *testing.T) {
		t.Parallel()
		for rows, projects := range map[string]int{"few rows": 50, "many rows": 300} {
			t.Run(rows, func(t *testing.T) {
				w := newWorld(t)
				w.projects(projects)
				run := w.begin()
				w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, empty)
				w.sweep(run)
				w.consumer()
				s := w.swept(postgres.SweepFailed)
				if !strings.Contains(s.Reason, "whole") {
					t.Errorf("the reason is %q", s.Reason)
				}
				if got := w.counts().Pending; got != int64(projects) {
					t.Errorf("%d projects are pending, want all", got)
				}
			})
		}
	})
	t.Run("nothing was ever pushed", func(t *testing.T) {
		w := newWorld(t)
		for i := range 30 {
			w.Project(t, app(i))
		}
		w.sweep(w.begin())
		w.consumer()
		w.swept(postgres.SweepDone)
		if got := w.counts(); got.Completed != 30 || got.MissingTotal != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestSweep_ACatalogThatIsNotWholeIsNotBelieved(t *testing.T) {
	t.Parallel()
	distribution := registrytest.Options{Mode: registrytest.Distribution, CatalogLimit: 100}
	for name, test := range map[string]struct {
		options registrytest.Options
		page    int
		fault   registrytest.Fault
		want    string
	}{
		"it shows only what somebody may see": {smallPages, 0, registrytest.Hide(func(path string) bool { return strings.Contains(path, "1") }), "which has tags"},
		"it is cut off":                       {smallPages, 2, registrytest.Link(""), "without a next page"},
		"its pages lead in a circle":          {smallPages, 2, registrytest.RepeatPage(), "leads back"},
		"it is refused":                       {smallPages, 0, registrytest.Status(http.StatusUnauthorized, "UNAUTHORIZED"), "registry:catalog:*"},
		"distribution drops names":            {distribution, 0, registrytest.DropAtBorder(), "dropped between two pages"},
		"a page is never given":               {smallPages, 3, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"), "500"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, test.options)
			const projects = 2000
			w.projects(projects)
			w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog, Page: test.page}, test.fault)
			w.set("strategy", "sweep")
			w.set("flush_after", "1s")
			w.begin()
			w.consumer()
			w.producer()
			s := w.swept(postgres.SweepFailed)
			if !strings.Contains(s.Reason, test.want) || strings.Contains(s.Reason, "\n") {
				t.Errorf("the reason is %q, want a line about %q", s.Reason, test.want)
			}
			if test.options.Mode == registrytest.Distribution {
				return // scans, too, need the catalog
			}
			w.within(2*patience, "scanning goes on project by project", w.completed(projects))
			w.checkApps(projects)
		})
	}
}

// What was hidden from the first process, the next one has to be told.
func TestSweep_TheNextProcessDoubtsTheCatalog(t *testing.T) {
	w := newWorldOf(t, smallPages)
	for page := 2; page < 5; page++ {
		w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog, Page: page}, registrytest.Hide(func(path string) bool {
			return strings.Contains(path, "5")
		}))
	}
	var first *running
	release := w.walked(func() { first = w.consumer() })
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	release()
	w.consumer()
	if s := w.swept(postgres.SweepFailed); !strings.Contains(s.Reason, "which has tags") {
		t.Errorf("the reason is %q", s.Reason)
	}
}

// GitLab has rows of what the registry does not hold any more.
func TestSweep_AStaleRowSpeaksAgainstNoCatalog(t *testing.T) {
	w := newWorldOf(t, smallPages)
	const projects = 300
	first := w.projects(projects)
	for i := range int64(20) {
		w.Repository(t, first+i, "stale")
	}
	w.sweep(w.begin())
	w.consumer()
	w.swept(postgres.SweepDone)
	w.checkApps(projects)
}

func TestSweep_AnEndlessCatalogIsGivenUp(t *testing.T) {
	w := newWorldOf(t, smallPages)
	release := w.walked(func() { w.consumer() })
	w.Exec(t, `UPDATE regmend.sweeps SET repositories = 19999800`)
	release()
	if s := w.swept(postgres.SweepFailed); !strings.Contains(s.Reason, "more than 20000000") {
		t.Errorf("the reason is %q", s.Reason)
	}
	if got := w.counts().Completed; got != 0 {
		t.Errorf("%d projects are completed", got)
	}
}

// Not even then does everyone hold for good.
func TestSweep_ACatalogThatAloneIsAwayIsGivenUp(t *testing.T) {
	w := newWorldOf(t, smallPages)
	const projects = 300
	w.projects(projects)
	w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
	w.set("strategy", "sweep")
	w.set("flush_after", "1s")
	w.begin()
	w.consumer()
	w.producer()
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	if s := w.swept(postgres.SweepFailed); !strings.Contains(s.Reason, "503") {
		t.Errorf("the reason is %q", s.Reason)
	}
	w.within(recovery, "scanning goes on project by project", w.completed(projects))
	w.checkApps(projects)
}

func TestStrategyAuto_FallsBackWhereTheCatalogIsRefused(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{"granted": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if refused {
				w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, registrytest.Status(http.StatusUnauthorized, "UNAUTHORIZED"))
			}
			const projects = 300
			w.projects(projects)
			w.set("strategy", "auto")
			w.set("flush_after", "1s")
			w.begin()
			w.consumer()
			w.await("it is known whether the catalog is granted", func() bool {
				catalog, known, err := board.New(w.redis).Catalog(t.Context())
				return err == nil && known && catalog.Granted != refused
			})
			w.producer()
			w.await("all projects are completed", w.completed(projects))
			w.checkApps(projects)
			if swept := w.Value(t, `SELECT count(*) FROM regmend.sweeps`) == "1"; swept == refused {
				t.Errorf("swept: %v", swept)
			}
		})
	}
}
