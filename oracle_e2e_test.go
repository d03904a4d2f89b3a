package main_test

import (
	"net/http"
	"slices"
	"strings"

	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
)

// outcome is what is to be known of a project.
type outcome struct {
	Run      int64
	Status   string
	FullPath string
	Listed   int // repositories of its own; of completed ones in GitLab's API
	Missing  []string
}

// oracle tells what the results have to be, from what the registry has tagged
// and from the database's rows alone. Nothing of regmend's is used for it.
func (in *installation) oracle(run int64) map[int64]outcome {
	in.t.Helper()
	tagged := in.registry.Tagged()
	rows := in.rows()
	outcomes := map[int64]outcome{}
	for id, fullPath := range in.eligible() {
		if fullPath == "" {
			outcomes[id] = outcome{Run: run, Status: "failed", Missing: []string{}}
			continue
		}
		own := namesBelow(tagged, strings.ToLower(fullPath))
		missing := slices.DeleteFunc(slices.Clone(own), func(name string) bool { return rows[id][name] })
		outcomes[id] = outcome{Run: run, Status: "completed", FullPath: fullPath, Listed: len(own), Missing: append([]string{}, missing...)}
	}
	return outcomes
}

// namesBelow are the names of the sorted paths that are the given one or below
// it, sorted.
func namesBelow(sorted []string, path string) []string {
	names := []string{}
	if _, found := slices.BinarySearch(sorted, path); found {
		names = append(names, "")
	}
	for i, _ := slices.BinarySearch(sorted, path+"/"); i < len(sorted); i++ {
		name, below := strings.CutPrefix(sorted[i], path+"/")
		if !below {
			break
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// eligible are the full paths of the projects that count, "" without a route.
func (in *installation) eligible() map[int64]string {
	in.t.Helper()
	var projects []struct {
		ID   int64
		Path string
	}
	err := in.SQL.SelectContext(in.t.Context(), &projects, `
SELECT p.id, coalesce(r.path, '') AS path
FROM public.projects p LEFT JOIN public.routes r ON r.source_id = p.id AND r.source_type = 'Project'
WHERE coalesce(p.pending_delete, false) = false`)
	if err != nil {
		in.t.Fatal(err)
	}
	paths := map[int64]string{}
	for _, p := range projects {
		paths[p.ID] = p.Path
	}
	return paths
}

// rows are the names of the container repositories GitLab knows, by project.
func (in *installation) rows() map[int64]map[string]bool {
	in.t.Helper()
	var all []struct {
		ID   int64
		Name string
	}
	err := in.SQL.SelectContext(in.t.Context(), &all, `SELECT project_id AS id, name FROM public.container_repositories`)
	if err != nil {
		in.t.Fatal(err)
	}
	rows := map[int64]map[string]bool{}
	for _, row := range all {
		if rows[row.ID] == nil {
			rows[row.ID] = map[string]bool{}
		}
		rows[row.ID][row.Name] = true
	}
	return rows
}

const selectResults = `
SELECT d.project_id, d.run_id, d.status, coalesce(d.full_path, '') AS full_path, coalesce(d.listed, 0) AS listed,
       coalesce(d.method, '') AS method, coalesce(d.pages, 0) AS pages, d.missing_count, coalesce(d.error, '') AS error,
       coalesce(array_agg(m.name ORDER BY m.name COLLATE "C") FILTER (WHERE m.name IS NOT NULL), '{}') AS missing
FROM regmend.data_repair_details d LEFT JOIN regmend.missing_repositories m USING (project_id)
GROUP BY d.project_id`

// result is a row of data_repair_details with those of missing_repositories.
type result struct {
	ProjectID    int64  `db:"project_id"`
	RunID        int64  `db:"run_id"`
	FullPath     string `db:"full_path"`
	MissingCount int    `db:"missing_count"`
	Status       string
	Method       string
	Pages        int
	Listed       int
	Error        string
	Missing      pq.StringArray
}

func (in *installation) results() []result {
	in.t.Helper()
	var results []result
	if err := in.SQL.SelectContext(in.t.Context(), &results, selectResults); err != nil {
		in.t.Fatal(err)
	}
	return results
}

// checkResults holds every row of every result against the oracle.
func (in *installation) checkResults(run int64) {
	in.t.Helper()
	want, got := in.oracle(run), map[int64]outcome{}
	for _, r := range in.results() {
		if r.MissingCount != len(r.Missing) {
			in.t.Errorf("project %d: missing_count is %d, but %d are in missing_repositories", r.ProjectID, r.MissingCount, len(r.Missing))
		}
		got[r.ProjectID] = outcome{Run: r.RunID, Status: r.Status, FullPath: r.FullPath, Listed: r.Listed, Missing: append([]string{}, r.Missing...)}
		if want[r.ProjectID].Status == "failed" && strings.Contains(r.Error, "no route") {
			got[r.ProjectID] = want[r.ProjectID]
		}
		if strings.HasPrefix(r.Method, "distribution") { // lists untagged ones too
			w := want[r.ProjectID]
			w.Listed = r.Listed
			want[r.ProjectID] = w
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
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
// evidence: every project's own path was read once, page by page, or not at all
// where another way was gone. Only a few projects that list something may have
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
