package main_test

import (
	"net/http"
	"strings"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// fill puts the world into database and registry.
func (in *installation) fill(w gitlabtest.World) {
	in.t.Helper()
	if err := w.Insert(in.t.Context(), in.SQL); err != nil {
		in.t.Fatal(err)
	}
	w.Push(in.registry.Push)
}

// oracle tells what the results have to be.
func (in *installation) oracle(run int64) map[int64]gitlabtest.Outcome {
	in.t.Helper()
	outcomes, err := gitlabtest.Outcomes(in.t.Context(), in.SQL, in.registry.Tagged(), run)
	if err != nil {
		in.t.Fatal(err)
	}
	return outcomes
}

func (in *installation) results() []gitlabtest.Result {
	in.t.Helper()
	results, err := gitlabtest.Results(in.t.Context(), in.SQL)
	if err != nil {
		in.t.Fatal(err)
	}
	return results
}

// checkResults holds every row of every result against the oracle.
func (in *installation) checkResults(run int64) {
	in.t.Helper()
	if diff := gitlabtest.Differences(in.oracle(run), in.results()); diff != "" {
		in.t.Errorf("results (-oracle +got):\n%s", last(diff, 8000))
	}
}

// checkTotals holds what status says against the oracle.
func (in *installation) checkTotals(s status) {
	in.t.Helper()
	var completed, failed, missing, withMissing int64
	for _, o := range in.oracle(s.Run) {
		if o.Status == "failed" {
			failed++
			continue
		}
		completed++
		missing += int64(len(o.Missing))
		withMissing += int64(min(len(o.Missing), 1))
	}
	want := []int64{completed, failed, 0, missing, withMissing}
	if diff := cmp.Diff(want, []int64{s.Completed, s.Failed, s.Pending, s.MissingTotal, s.ProjectsWithMissing}); diff != "" {
		in.t.Errorf("completed, failed, pending, missing_total, projects_with_missing (-oracle +status):\n%s", diff)
	}
}

// checkCap looks at what the registry saw since it last forgot.
func (in *installation) checkCap(most int) {
	in.t.Helper()
	if seen := in.registry.MaxInFlight(); seen > most {
		in.t.Errorf("the registry saw %d requests in flight, max_concurrency is %d", seen, most)
	}
}

// checkOneScan holds the listings the registry was asked for against the
// evidence: every project's own path was read once, and twice where something is
// missing, page by page, or not at all where another way was gone. Only a few projects that list something may have
// been asked again: as controls.
func (in *installation) checkOneScan(controls int) {
	in.t.Helper()
	asked := map[string]int{}
	for _, req := range in.registry.Requests(registrytest.List) {
		if req.Status != http.StatusUnauthorized {
			asked[req.Repository]++
		}
	}
	methods, again := map[string]int{}, map[string]int{}
	for _, r := range in.results() {
		methods[r.Method]++
		path, want := strings.ToLower(r.FullPath), 0
		if r.Method == "gitlab" {
			want = r.Pages
		}
		if len(r.Missing) > 0 {
			want *= 2 // two looks
		}
		switch n := asked[path]; {
		case path == "" || n == want:
		case r.Listed > 0 && n > want:
			again[path] = n - want
		default:
			in.t.Errorf("%s was asked for %d times, its evidence says %s, %d pages", path, n, r.Method, r.Pages)
		}
	}
	if len(again) > controls {
		in.t.Errorf("more projects than there can be controls were asked for again: %v", again)
	}
	in.t.Logf("projects by method: %v; controls: %v", methods, again)
}
