package main

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

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

// many is from how many projects on indexes are made afterwards.
const many = 200_000

const selectIndexes = `
SELECT indexname AS name, indexdef AS definition FROM pg_indexes
WHERE schemaname = 'public' AND tablename IN ('projects', 'routes', 'container_repositories') AND indexname NOT LIKE '%_pkey'`

// statement is one with its values.
type statement struct {
	text string
	args []any
}

// insert fills GitLab's tables.
func (s shape) insert(ctx context.Context, db *sqlx.DB) error {
	conn, err := db.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var indexes []struct{ Name, Definition string }
	if s.Projects >= many {
		if err := conn.SelectContext(ctx, &indexes, selectIndexes); err != nil {
			return err
		}
	}
	statements := []statement{{`SET synchronous_commit = off`, nil}, {`SET maintenance_work_mem = '1GB'`, nil}}
	for _, i := range indexes {
		statements = append(statements, statement{`DROP INDEX public.` + i.Name, nil})
	}
	statements = append(statements, s.rows()...)
	for _, i := range indexes {
		statements = append(statements, statement{i.Definition, nil})
	}
	for _, st := range append(statements, statement{`VACUUM ANALYZE`, nil}, statement{`CHECKPOINT`, nil}) {
		if _, err := conn.ExecContext(ctx, st.text, st.args...); err != nil {
			return fmt.Errorf("fill GitLab's tables: %w", err)
		}
	}
	return nil
}

// rows are the statements that insert them.
func (s shape) rows() []statement {
	rows := []statement{
		{insertProjects, []any{s.Projects}},
		{insertRoutes, []any{s.Projects, s.groups(), doubtful}},
		{insertRepositories, []any{s.Projects, repositoryName, withRepositories, lost, firstTagged}},
	}
	if s.Large > 0 {
		rows = append(rows, statement{insertLarge, []any{s.Projects + 1, largePath}})
	}
	return rows
}
