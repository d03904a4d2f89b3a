package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"regmend/shared/gitlab/gitlabtest"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// truth is what GitLab's database knew at which time, and what the registry has.
type truth struct {
	tagged []string // sorted; never changes
	pushed []string // the same with those that have no tags

	mu     sync.Mutex
	epochs []map[int64][]version // for each state of the database: by project, in the order of time
}

// version is what was so of a project from a time on.
type version struct {
	from time.Time
	path string // "": no such project, or one without a route
	rows map[string]bool
}

func newTruth(ctx context.Context, db *sqlx.DB, tagged, pushed []string) (*truth, error) {
	t := &truth{tagged: tagged, pushed: pushed}
	return t, t.replaced(ctx, db)
}

// replaced notes what is so of every project in another state of the database:
// no result of the one before is to be written any more.
func (t *truth) replaced(ctx context.Context, db *sqlx.DB) error {
	paths, err := gitlabtest.Eligible(ctx, db)
	if err != nil {
		return err
	}
	rows, err := gitlabtest.Rows(ctx, db)
	if err != nil {
		return err
	}
	versions := map[int64][]version{}
	for id, path := range paths {
		versions[id] = []version{{path: path, rows: rows[id]}}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epochs = append(t.epochs, versions)
	return nil
}

const selectPaths = `
SELECT p.id, coalesce(r.path, '') AS path FROM unnest($1::bigint[]) AS p (id)
LEFT JOIN public.routes r ON r.source_id = p.id AND r.source_type = 'Project'`

const selectNames = `SELECT project_id AS id, name AS path FROM public.container_repositories WHERE project_id = ANY ($1)`

// changed notes what is so of the projects since a change whose commit began at
// a time.
func (t *truth) changed(ctx context.Context, db *sqlx.DB, ids []int64, from time.Time) error {
	var paths, names []struct {
		ID   int64
		Path string
	}
	if err := db.SelectContext(ctx, &paths, selectPaths, pq.Array(ids)); err != nil {
		return err
	}
	if err := db.SelectContext(ctx, &names, selectNames, pq.Array(ids)); err != nil {
		return err
	}
	rows := map[int64]map[string]bool{}
	for _, n := range names {
		if rows[n.ID] == nil {
			rows[n.ID] = map[string]bool{}
		}
		rows[n.ID][n.Path] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	versions := t.epochs[len(t.epochs)-1]
	for _, p := range paths {
		versions[p.ID] = append(versions[p.ID], version{from: from, path: p.Path, rows: rows[p.ID]})
	}
	return nil
}

// between are the versions of a project that were so at some time from begin to
// end, in a state of the database.
func (t *truth) between(epoch int, id int64, begin, end time.Time) []version {
	t.mu.Lock()
	defer t.mu.Unlock()
	versions := t.epochs[epoch][id]
	var so []version
	for i, v := range versions {
		next := i + 1
		over := next < len(versions) && versions[next].from.Before(begin)
		if !over && !v.from.After(end) {
			so = append(so, v)
		}
	}
	return so
}

// missing are the names that the registry has below the path and that are not
// in the version's rows; listed is how many it has in all.
func (t *truth) missing(path string, v version) (missing []string, listed int) {
	own := gitlabtest.NamesBelow(t.tagged, strings.ToLower(path))
	return slices.DeleteFunc(slices.Clone(own), func(name string) bool { return v.rows[name] }), len(own)
}

// held is how many the registry has below the path, with tags or without.
func (t *truth) held(path string) int {
	return len(gitlabtest.NamesBelow(t.pushed, strings.ToLower(path)))
}
