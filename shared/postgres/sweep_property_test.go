package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

// TestASweepOfARandomWorld makes every step of a sweep while the world changes
// between the steps, some of them twice and some from behind, and compares the
// table with what has to come of it by the rules, in words of their own.
func TestASweepOfARandomWorld(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			w.begin(t)
			for w.sweep.State == postgres.SweepPreparing {
				w.keep(t)
				w.changes(t)
			}
			pages := w.pages()
			for i := range pages {
				w.page(t, pages, i)
				w.changes(t)
			}
			w.ask(t)
			for !w.sweep.Ended() {
				w.changes(t)
				w.prove(t)
			}
			w.compare(t)
		})
	}
}

func (w *world) changes(t *testing.T) {
	for range w.random.IntN(4) {
		w.change(t)
	}
}

func (w *world) begin(t *testing.T) {
	for range 3 {
		var number int64
		if err := w.SQL.Get(&number, `SELECT nextval('regmend.scan_number')`); err != nil {
			t.Fatal(err)
		}
		w.numbers = append(w.numbers, number)
	}
	for range 20 {
		w.change(t)
	}
	s, err := w.DB.BeginSweep(t.Context(), w.run, "a test")
	if err != nil {
		t.Fatal(err)
	}
	w.sweep = s
}

// step makes a step, and afterwards sometimes once more from where it began:
// that is refused.
func (w *world) step(t *testing.T, step func(postgres.Sweep) (postgres.Sweep, error)) {
	t.Helper()
	before := w.sweep
	next, err := step(before)
	if err != nil {
		t.Fatalf("a step from %+v: %v", before, err)
	}
	if w.one(3) {
		if again, err := step(before); !errors.Is(err, postgres.ErrSweepMoved) {
			t.Fatalf("the same step again = %+v, %v, want ErrSweepMoved", again, err)
		}
	}
	w.sweep = next
}

func (w *world) keep(t *testing.T) {
	from := w.sweep.Cursor
	w.step(t, func(s postgres.Sweep) (postgres.Sweep, error) { return w.DB.Keep(t.Context(), s) })
	for id, p := range w.projects {
		if id <= from || w.sweep.State == postgres.SweepPreparing && id > w.sweep.Cursor || p.pending || p.path == "" {
			continue
		}
		w.kept[id] = *p
		if r := w.results[id]; r.scan > 0 && r.scan < w.sweep.Scan && r.path == p.path {
			for _, name := range r.missing {
				if of := (postgres.Listed{ProjectID: id, Name: name}); !w.rows[of] {
					w.candidates[of] = &worldCandidate{reported: true}
				}
			}
		}
	}
}

// pages are the catalog's, in any order, overlapping, one of them empty.
func (w *world) pages() [][]string {
	all := slices.Sorted(maps.Keys(w.tagged))
	w.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	pages := [][]string{{}}
	for page := range slices.Chunk(all, 1+w.random.IntN(20)) {
		page = slices.Clone(page)
		for range w.random.IntN(3) {
			page = append(page, all[w.random.IntN(len(all))])
		}
		pages = append(pages, page)
	}
	w.random.Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
	return pages
}

func (w *world) page(t *testing.T, pages [][]string, i int) {
	next := ""
	if i < len(pages)-1 {
		next = fmt.Sprintf("/v2/_catalog?last=%d", i)
	}
	w.step(t, func(s postgres.Sweep) (postgres.Sweep, error) { return w.DB.SweepPage(t.Context(), s, pages[i], next) })
	slices.Sort(pages[i])
	for _, path := range slices.Compact(pages[i]) {
		w.seen++
		owned := false
		for id, p := range w.projects {
			name, ok := gitlab.Project{ID: id, FullPath: p.path}.Owns(path)
			owned = owned || ok
			of := postgres.Listed{ProjectID: id, Name: name}
			if _, kept := w.kept[id]; !ok || !kept || w.rows[of] && (w.candidates[of] == nil || !w.candidates[of].reported) {
				continue
			}
			if w.candidates[of] == nil {
				w.candidates[of] = &worldCandidate{}
			}
			if !w.candidates[of].inCatalog {
				w.candidates[of].inCatalog = true
				w.count.candidates++
			}
		}
		if !owned {
			w.unowned[path] = true
		}
	}
}

// ask asks some of the candidates, mostly all.
func (w *world) ask(t *testing.T) {
	limit := 1000
	if w.one(4) {
		limit = 1 + w.random.IntN(5)
	}
	asked, err := w.DB.SweepCandidates(t.Context(), w.sweep, limit)
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for _, c := range w.candidates {
		if c.inCatalog != c.reported {
			open++
		}
	}
	if len(asked) != min(open, limit) {
		t.Errorf("SweepCandidates() = %d, want %d of %d", len(asked), min(open, limit), open)
	}
	var answers []postgres.TaggedCandidate
	for _, c := range asked {
		of := postgres.Listed{ProjectID: c.ProjectID, Name: c.Name}
		if w.candidates[of] == nil || w.candidates[of].answer != nil || w.candidates[of].inCatalog == w.candidates[of].reported ||
			c.FullPath != w.kept[c.ProjectID].path {
			t.Fatalf("SweepCandidates() has %+v, which is %+v", c, w.candidates[of])
		}
		tagged := w.tagged[gitlab.Project{FullPath: c.FullPath}.RepositoryPath(c.Name)]
		w.candidates[of].answer = &tagged
		answers = append(answers, postgres.TaggedCandidate{Candidate: c, Tagged: tagged})
	}
	if err := w.DB.SetTagged(t.Context(), w.sweep, answers); err != nil {
		t.Fatal(err)
	}
}

func (w *world) prove(t *testing.T) {
	from := w.sweep.Cursor
	w.step(t, func(s postgres.Sweep) (postgres.Sweep, error) { return w.DB.Prove(t.Context(), s) })
	for id, kept := range w.kept {
		if id > from && id <= w.sweep.Cursor && !w.sweep.Ended() {
			w.judge(id, kept)
		}
	}
}

// judge is what a sweep says of a project.
func (w *world) judge(id int64, kept worldProject) {
	p := w.projects[id]
	if p == nil || p.pending || p.path != kept.path || p.version != kept.version {
		return
	}
	missing, known := map[string]bool{}, map[string]bool{}
	for of, c := range w.candidates {
		switch {
		case of.ProjectID != id || w.rows[of]:
			continue
		case c.answer == nil && c.inCatalog != c.reported:
			return // it was not asked for
		case c.answer == nil && w.results[id].scan == 0:
			return // nobody says so any more
		}
		known[of.Name] = true
		missing[of.Name] = c.answer == nil || *c.answer
	}
	maps.DeleteFunc(missing, func(_ string, is bool) bool { return !is })
	result := gitlab.Result{
		Scan: w.sweep.Scan, Project: gitlab.Project{ID: id, FullPath: p.path}, Status: gitlab.Completed,
		Missing: slices.Sorted(maps.Keys(missing)), Evidence: gitlab.Evidence{Method: "sweep"},
	}
	if w.results[id].scan == 0 && (len(result.Missing) > 0 || w.looks[id]) {
		w.looks[id] = true
		return
	}
	if r := w.results[id]; r.scan > 0 {
		said := slices.DeleteFunc(slices.Clone(r.missing), func(name string) bool { return w.rows[postgres.Listed{ProjectID: id, Name: name}] })
		slices.Sort(said)
		unknown := slices.ContainsFunc(said, func(name string) bool { return !known[name] })
		if r.scan > w.sweep.Scan || r.path != p.path || unknown || slices.Equal(said, result.Missing) || w.agreedBefore(id, said) {
			return
		}
		if slices.ContainsFunc(result.Missing, func(name string) bool { return !slices.Contains(said, name) }) {
			w.looks[id] = true
			return
		}
		if w.looks[id] {
			return
		}
		result.Contradiction = "something"
	}
	w.results[id] = w.results[id].with(result)
	w.count.proven++
}

// agreedBefore tells whether something that the catalog has, and that was not
// asked for because a scan had reported it, is not reported any more.
func (w *world) agreedBefore(id int64, said []string) bool {
	for of, c := range w.candidates {
		if of.ProjectID == id && c.answer == nil && c.inCatalog && c.reported && !w.rows[of] && !slices.Contains(said, of.Name) {
			return true
		}
	}
	return false
}

const selectWorld = `
SELECT project_id, CASE WHEN status = 'completed' THEN scan_number ELSE 0 END AS scan, coalesce(failure_scan_number, 0) AS failure,
       coalesce(full_path, '') AS path, coalesce(method, '') AS method, contradiction IS NOT NULL AS contradicted, missing_count,
       coalesce((SELECT string_agg(name, ',' ORDER BY name COLLATE "C") FROM regmend.missing_repositories m WHERE m.project_id = d.project_id), '') AS names
FROM regmend.data_repair_details d`

func (w *world) compare(t *testing.T) {
	t.Helper()
	var rows []struct {
		ID           int64 `db:"project_id"`
		Scan         int64
		Failure      int64
		Path, Method string
		Contradicted bool
		Count        int `db:"missing_count"`
		Names        string
	}
	if err := w.SQL.Select(&rows, selectWorld); err != nil {
		t.Fatal(err)
	}
	got, want := map[int64]string{}, map[int64]string{}
	for _, r := range rows {
		if r.Scan == 0 {
			r.Path = ""
		}
		got[r.ID] = fmt.Sprint(r.Scan, r.Failure, r.Path, r.Method, r.Contradicted, r.Names)
	}
	for id, r := range w.results {
		if r.scan+r.failure > 0 {
			want[id] = fmt.Sprint(r.scan, r.failure, r.path, r.method, r.contradicted, strings.Join(slices.Sorted(slices.Values(r.missing)), ","))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	var unowned []string
	err := w.DB.Unowned(t.Context(), func(path string) error { unowned = append(unowned, path); return nil })
	if diff := cmp.Diff(slices.Sorted(maps.Keys(w.unowned)), unowned); err != nil || diff != "" {
		t.Errorf("Unowned() = %v (-want +got):\n%s", err, diff)
	}
	s := w.sweep
	if s.State != postgres.SweepDone || s.Repositories != w.seen || s.Unowned != int64(len(w.unowned)) || s.Candidates != w.count.candidates || s.Proven != w.count.proven || s.Projects < int64(len(w.kept)) {
		t.Errorf("sweep = %+v, want %d repositories, %d unowned, %+v", s, w.seen, len(w.unowned), w.count)
	}
}
