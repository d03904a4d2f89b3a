package postgres_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// What full paths and names there can be: nested, in mixed case, prefixes of
// each other, and with what SQL takes for a wildcard.
var (
	worldPaths = []string{
		"G/app", "G/app-x", "G/App2", "G/app.y", "G/a_p", "G/axp", "G/a%", "G/Sub/app", "G/sub-x/App", "G/Sub/app/inner",
		"H/a/b/c/d", "H/a/b-c", "H_/app", "Hx/app", "0/1", "zz/Z9", "new/one", "New/Two", "moved/app", "moved/app-x",
	}
	worldNames  = []string{"", "web", "x-9", "x_y", "a/b/c"}
	worldStrays = []string{"nobody/app", "g", "g/ap", "g/app-", "h/a/b", "g/sub", "zz"}
)

// world is a GitLab, a registry and the results of scans, in the database and
// beside it, with what has to come of a sweep.
type world struct {
	*suite
	random *rand.Rand

	tagged   map[string]bool // what the catalog has, and whether it has tags
	projects map[int64]*worldProject
	rows     map[postgres.Listed]bool
	results  map[int64]worldResult
	looks    map[int64]bool // what the sweep believes missing and no result says
	numbers  []int64        // scan numbers that were taken before the sweep began
	sweep    postgres.Sweep

	kept       map[int64]worldProject
	candidates map[postgres.Listed]*worldCandidate
	unowned    map[string]bool
	seen       int64 // repositories in pages
	count      struct{ candidates, proven int64 }
}

type worldProject struct {
	path    string // "": it has no route
	version int    // of its route
	pending bool
}

type worldResult struct {
	scan, failure int64 // 0: none
	path, method  string
	missing       []string
	contradicted  bool
}

type worldCandidate struct {
	inCatalog, reported bool
	answer              *bool
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		suite: newSuite(t, 0), random: rand.New(rand.NewPCG(seed, seed)), tagged: map[string]bool{},
		projects: map[int64]*worldProject{}, rows: map[postgres.Listed]bool{}, results: map[int64]worldResult{}, looks: map[int64]bool{},
		kept: map[int64]worldProject{}, candidates: map[postgres.Listed]*worldCandidate{}, unowned: map[string]bool{},
	}
	w.DB.Chop(1+w.random.IntN(8), 1+w.random.IntN(8), 1+w.random.IntN(4))
	for _, path := range worldPaths[:16] {
		if w.random.IntN(5) > 0 {
			w.create(t, path)
		}
	}
	for _, path := range slices.Concat(worldPaths, worldStrays) {
		empty := w.one(2)
		for _, name := range worldNames {
			if !empty && w.one(2) {
				w.tagged[gitlab.Project{FullPath: path}.RepositoryPath(name)] = !w.one(5)
			}
		}
	}
	for range 30 {
		w.change(t)
	}
	return w
}

func (w *world) one(in int) bool { return w.random.IntN(in) == 0 }

// some is one of the projects; false if there is none.
func (w *world) some() (int64, *worldProject, bool) {
	ids := slices.Sorted(maps.Keys(w.projects))
	if len(ids) == 0 {
		return 0, nil, false
	}
	id := ids[w.random.IntN(len(ids))]
	return id, w.projects[id], true
}

func (w *world) create(t *testing.T, path string) {
	id := int64(10 + 7*len(w.projects) + w.random.IntN(1000)*100)
	if w.projects[id] != nil {
		return
	}
	w.projects[id] = &worldProject{path: path}
	w.Exec(t, `INSERT INTO public.projects (id, namespace_id) VALUES ($1, 1)`, id)
	w.Exec(t, `INSERT INTO public.routes (source_id, source_type, path) VALUES ($1, 'Project', $2)`, id, path)
}

// free is a path that no project has, in any case; "" if there is none.
func (w *world) free() string {
	path := worldPaths[w.random.IntN(len(worldPaths))]
	for _, p := range w.projects {
		if strings.EqualFold(p.path, path) {
			return ""
		}
	}
	return path
}

// change does something to GitLab, or scans something.
func (w *world) change(t *testing.T) {
	id, p, ok := w.some()
	if path := w.free(); w.one(4) && path != "" {
		w.create(t, path)
		return
	}
	if !ok {
		return
	}
	switch n := w.random.IntN(24); n {
	case 0:
		w.Exec(t, `DELETE FROM public.container_repositories WHERE project_id = $1`, id)
		w.Exec(t, `DELETE FROM public.routes WHERE source_id = $1`, id)
		w.Exec(t, `DELETE FROM public.projects WHERE id = $1`, id)
		delete(w.projects, id)
		delete(w.results, id)
		maps.DeleteFunc(w.rows, func(l postgres.Listed, _ bool) bool { return l.ProjectID == id })
	case 1:
		p.pending = !p.pending
		w.Exec(t, `UPDATE public.projects SET pending_delete = $2 WHERE id = $1`, id, p.pending)
	case 2, 3:
		w.rename(t, id, p, w.free())
	case 4: // and back
		old := p.path
		w.rename(t, id, p, w.free())
		w.rename(t, id, p, old)
	case 5:
		w.rename(t, id, p, p.path)
	case 6:
		if w.one(3) {
			p.path = ""
			w.Exec(t, `DELETE FROM public.routes WHERE source_id = $1`, id)
		}
	case 7:
		w.Exec(t, `VACUUM FREEZE public.routes`)
	case 8, 9, 10, 11, 12, 13, 14:
		w.toggleRow(t, postgres.Listed{ProjectID: id, Name: worldNames[w.random.IntN(len(worldNames))]})
	default:
		w.scan(t, id, p)
	}
}

func (w *world) rename(t *testing.T, id int64, p *worldProject, path string) {
	if path == "" || p.path == "" {
		return
	}
	w.Exec(t, `UPDATE public.routes SET path = $2 WHERE source_id = $1`, id, path)
	p.path = path
	p.version++
}

func (w *world) toggleRow(t *testing.T, row postgres.Listed) {
	if w.rows[row] {
		w.Exec(t, `DELETE FROM public.container_repositories WHERE project_id = $1 AND name = $2`, row.ProjectID, row.Name)
		delete(w.rows, row)
		return
	}
	w.Exec(t, `INSERT INTO public.container_repositories (project_id, name, status, created_at, updated_at)
		VALUES ($1, $2, $3, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')`, row.ProjectID, row.Name, []any{nil, 0, 1, 2}[w.random.IntN(4)])
	w.rows[row] = true
}

// scan writes the result of a scan: one that began before the sweep, or after.
func (w *world) scan(t *testing.T, id int64, p *worldProject) {
	if p.path == "" {
		return
	}
	var number int64
	if len(w.numbers) > 0 && w.one(2) {
		number = w.numbers[w.random.IntN(len(w.numbers))]
	} else if err := w.SQL.Get(&number, `SELECT nextval('regmend.scan_number')`); err != nil {
		t.Fatal(err)
	}
	result := gitlab.Result{Run: w.run.ID, Scan: number, Project: gitlab.Project{ID: id, FullPath: p.path}, Status: gitlab.Failed, Error: "timeout"}
	if !w.one(4) {
		// The listing overlooks some, and makes some up.
		for _, name := range worldNames {
			there := w.tagged[result.Project.RepositoryPath(name)]
			if !w.rows[postgres.Listed{ProjectID: id, Name: name}] && there != w.one(6) {
				result.Missing = append(result.Missing, name)
			}
		}
		result.Status, result.Error = gitlab.Completed, ""
		result.Evidence = gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: len(result.Missing)}
	}
	w.write(t, result)
	if !p.pending {
		w.results[id] = w.results[id].with(result)
	}
}

// with is the rule of the order of results.
func (r worldResult) with(scanned gitlab.Result) worldResult {
	switch {
	case scanned.Status == gitlab.Failed && scanned.Scan > max(r.scan, r.failure):
		r.failure = scanned.Scan
	case scanned.Status == gitlab.Completed && scanned.Scan > r.scan:
		failure := r.failure
		r = worldResult{scan: scanned.Scan, path: scanned.Project.FullPath, method: scanned.Method, missing: scanned.Missing, contradicted: scanned.Contradiction != ""}
		if failure > r.scan {
			r.failure = failure
		}
	}
	return r
}

func (r worldResult) String() string {
	return fmt.Sprintf("scan %d failure %d path %s method %s missing %q contradicted %v", r.scan, r.failure, r.path, r.method, r.missing, r.contradicted)
}
