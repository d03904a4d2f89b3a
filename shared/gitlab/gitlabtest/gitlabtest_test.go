package gitlabtest_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func TestTheSeedTellsTheWorld(t *testing.T) {
	first := gitlabtest.Generate(1, 300)
	if diff := cmp.Diff(first, gitlabtest.Generate(1, 300)); diff != "" {
		t.Errorf("two worlds of one seed differ:\n%s", diff)
	}
	if cmp.Equal(first, gitlabtest.Generate(2, 300)) {
		t.Error("worlds of two seeds are the same")
	}
}

// expected tells what has to come out from the world itself, in place of what
// database and registry hold of it.
func expected(w gitlabtest.World, run int64) map[int64]gitlabtest.Outcome {
	outcomes := map[int64]gitlabtest.Outcome{}
	for _, p := range w.Projects {
		if p.PendingDelete {
			continue
		}
		o := gitlabtest.Outcome{Run: run, Status: "failed", Missing: []string{}}
		if !p.Routeless {
			o.Status, o.FullPath = "completed", p.FullPath
			for _, r := range p.Repositories {
				if r.Tagged {
					o.Listed++
				}
				if r.Tagged && !r.Row {
					o.Missing = append(o.Missing, r.Name)
				}
			}
			slices.Sort(o.Missing)
		}
		outcomes[p.ID] = o
	}
	return outcomes
}

// What database and registry are given is what the oracle finds in them.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	w := gitlabtest.Generate(3, 1_000)
	db := postgrestest.Empty(t)
	if err := w.Insert(t.Context(), db.SQL); err != nil {
		t.Fatal(err)
	}
	var tagged []string
	w.Push(func(path string, tags ...string) {
		if len(tags) > 0 {
			tagged = append(tagged, path)
		}
	})
	slices.Sort(tagged)
	got, err := gitlabtest.Outcomes(t.Context(), db.SQL, tagged, 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected(w, 7), got); diff != "" {
		t.Errorf("Outcomes() (-want +got):\n%s", diff)
	}
}

func TestNothingIsPushedThatTheRegistryDoesNotHave(t *testing.T) {
	w, has := gitlabtest.Generate(3, 1_000), map[string]bool{}
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			has[r.Path(p.FullPath)] = r.Pushed
		}
	}
	w.Push(func(path string, _ ...string) {
		if pushed, known := has[path]; known && !pushed {
			t.Errorf("%s is pushed", path)
		}
	})
}

func TestInsertIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := gitlabtest.Generate(3, 50)
	last := &w.Projects[len(w.Projects)-1]
	last.Repositories = []gitlabtest.Repository{{Name: "twice", Row: true}, {Name: "twice", Row: true}}
	db := postgrestest.Empty(t)
	if err := w.Insert(t.Context(), db.SQL); err == nil {
		t.Error("a repository could be inserted twice")
	}
	if n := db.Value(t, `SELECT count(*) FROM public.routes`); n != "0" {
		t.Errorf("%s routes are left of a world that could not be inserted", n)
	}
}

func TestNamesBelow(t *testing.T) {
	sorted := []string{"a", "a/app", "a/app-x", "a/app-x/web", "a/app.y", "a/app/web", "a/app/web/x", "a/app9", "b"}
	for path, want := range map[string][]string{
		"a/app":   {"", "web", "web/x"},
		"a/app-x": {"", "web"},
		"a/app9":  {""},
		"a/ap":    {},
		"a":       {"", "app", "app-x", "app-x/web", "app.y", "app/web", "app/web/x", "app9"},
		"c":       {},
	} {
		if diff := cmp.Diff(want, gitlabtest.NamesBelow(sorted, path)); diff != "" {
			t.Errorf("NamesBelow(%q) (-want +got):\n%s", path, diff)
		}
	}
}

func TestDifferences(t *testing.T) {
	const run = 3
	completed := gitlabtest.Outcome{Run: run, Status: "completed", FullPath: "a/app", Listed: 2, Missing: []string{"web"}}
	failed := gitlabtest.Outcome{Run: run, Status: "failed", Missing: []string{}}
	right := gitlabtest.Result{
		ProjectID: 1, RunID: run, Status: "completed", FullPath: "a/app", Method: "gitlab", Listed: 2,
		MissingCount: 1, Missing: []string{"web"},
	}
	routeless := gitlabtest.Result{ProjectID: 1, RunID: run, Status: "failed", Error: "the project has no route"}
	but := func(r gitlabtest.Result, change func(*gitlabtest.Result)) []gitlabtest.Result {
		change(&r)
		return []gitlabtest.Result{r}
	}
	for _, test := range []struct {
		name    string
		want    gitlabtest.Outcome
		results []gitlabtest.Result
		told    string // "" if they are the same
	}{
		{"the same", completed, but(right, func(*gitlabtest.Result) {}), ""},
		{"no result", completed, nil, "a/app"},
		{"another run", completed, but(right, func(r *gitlabtest.Result) { r.RunID = 4 }), "Run"},
		{"another status", completed, but(right, func(r *gitlabtest.Result) { r.Status = "failed" }), "Status"},
		{"another path", completed, but(right, func(r *gitlabtest.Result) { r.FullPath = "b/app" }), "FullPath"},
		{"more listed", completed, but(right, func(r *gitlabtest.Result) { r.Listed = 3 }), "Listed"},
		{"other ones missing", completed, but(right, func(r *gitlabtest.Result) { r.Missing = []string{"x"} }), "Missing"},
		{"a count that is not theirs", completed, but(right, func(r *gitlabtest.Result) { r.MissingCount = 2 }), "missing_count is 2"},
		{"another project", completed, but(right, func(r *gitlabtest.Result) { r.ProjectID = 2 }), "2:"},
		{"untagged ones listed by distribution", completed, but(right, func(r *gitlabtest.Result) {
			r.Method, r.Listed = "distribution", 5
		}), ""},
		{"other ones missing with distribution", completed, but(right, func(r *gitlabtest.Result) {
			r.Method, r.Missing = "distribution", []string{"x"}
		}), "Missing"},
		{"no route", failed, but(routeless, func(*gitlabtest.Result) {}), ""},
		{"no route in another run", failed, but(routeless, func(r *gitlabtest.Result) { r.RunID = 1 }), ""},
		{"failed for another reason", failed, but(routeless, func(r *gitlabtest.Result) { r.Error, r.RunID = "500", 1 }), "Run"},
		{"no route where there is one", completed, but(routeless, func(*gitlabtest.Result) {}), "Status"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := gitlabtest.Differences(map[int64]gitlabtest.Outcome{1: test.want}, test.results)
			if (got == "") != (test.told == "") || !strings.Contains(got, test.told) {
				t.Errorf("Differences() = %q, want it to tell of %q", got, test.told)
			}
		})
	}
}

func TestDifferencesLeavesItsArgumentAlone(t *testing.T) {
	want := map[int64]gitlabtest.Outcome{1: {Status: "completed", Listed: 2}}
	gitlabtest.Differences(want, []gitlabtest.Result{{ProjectID: 1, Method: "distribution", Listed: 5}})
	if want[1].Listed != 2 {
		t.Errorf("what was expected is changed: %+v", want[1])
	}
}
