package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
)

// shape is what the projects look like. Everything follows from a project's ID,
// so that the stub needs no table of ten million and SQL makes the same ones.
type shape struct {
	// Projects have the IDs from 1 on.
	Projects int64 `json:"projects"`
	// Large is how many repositories one more project has; 0: there is none.
	Large int64 `json:"large"`
}

const (
	// One in withRepositories projects, and not the last of a batch, has a
	// repository; of one project in lost it has no row in GitLab's table.
	withRepositories, firstTagged = 10, 4
	lost                          = 1000
	// One in doubtful projects has a path whose listing needs a second look.
	doubtful = 21
	// groupSize is about how many projects are in a group. The next in a group
	// has not the next ID, as in a GitLab that has grown.
	groupSize = 100

	repositoryName = "web"
	largePath      = "Large/Monorepo"
)

func (s shape) groups() int64 { return s.Projects/groupSize + 1 }

// fullPath is as GitLab has it; the registry has it in lower case.
func (s shape) fullPath(id int64) string {
	if id > s.Projects {
		return largePath
	}
	last := "web"
	if id%doubtful == 0 {
		last = "v9"
	}
	return fmt.Sprintf("Team-%d-x/app-%d-%s", id%s.groups(), id, last)
}

func tagged(id int64) bool { return id%withRepositories == firstTagged }

// taggedIn yields the projects of the group that have repositories.
func (s shape) taggedIn(group int64) func(yield func(id int64) bool) {
	return func(yield func(int64) bool) {
		for id := group; id <= s.Projects; id += s.groups() {
			if id > 0 && tagged(id) && !yield(id) {
				return
			}
		}
	}
}

// parse tells whose registry path it is: a project's, or a group's (id 0).
func (s shape) parse(path string) (group, id int64, ok bool) {
	top, rest, below := strings.Cut(path, "/")
	group, ok = number(top, "team-")
	if !ok || !below {
		return group, 0, ok
	}
	id, ok = number(rest, "app-")
	return group, id, ok
}

// number is the one between the prefix and the next dash.
func number(text, prefix string) (int64, bool) {
	text, ok := strings.CutPrefix(text, prefix)
	digits, _, dash := strings.Cut(text, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && dash && err == nil
}

const (
	insertProjects = `
INSERT INTO public.projects (id, name, path, namespace_id)
SELECT id, 'app', 'app-' || id, 1 FROM generate_series(1, $1::bigint) AS id`

	insertRoutes = `
INSERT INTO public.routes (source_id, source_type, path, name)
SELECT id, 'Project', format('Team-%s-x/app-%s-%s', id % $2::bigint, id, CASE WHEN id % $3::bigint = 0 THEN 'v9' ELSE 'web' END), 'app'
FROM generate_series(1, $1::bigint) AS id`

	insertRepositories = `
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
SELECT id, $2, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM generate_series(1, $1::bigint) AS id WHERE id % $3::bigint = $5 AND id % $4::bigint <> $5`

	insertLarge = `
WITH project AS (
    INSERT INTO public.projects (id, name, path, namespace_id) VALUES ($1, 'Monorepo', 'Monorepo', 1)
)
INSERT INTO public.routes (source_id, source_type, path, name) VALUES ($1, 'Project', $2, 'Monorepo')`
)

// insert fills GitLab's tables.
func (s shape) insert(ctx context.Context, db *sqlx.DB) error {
	type statement struct {
		text string
		args []any
	}
	statements := []statement{
		{`SET synchronous_commit = off`, nil},
		{insertProjects, []any{s.Projects}},
		{insertRoutes, []any{s.Projects, s.groups(), doubtful}},
		{insertRepositories, []any{s.Projects, repositoryName, withRepositories, lost, firstTagged}},
	}
	if s.Large > 0 {
		statements = append(statements, statement{insertLarge, []any{s.Projects + 1, largePath}})
	}
	statements = append(statements, statement{`VACUUM ANALYZE`, nil}, statement{`CHECKPOINT`, nil})
	conn, err := db.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, st := range statements {
		if _, err := conn.ExecContext(ctx, st.text, st.args...); err != nil {
			return fmt.Errorf("fill GitLab's tables: %w", err)
		}
	}
	return nil
}
