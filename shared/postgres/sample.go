package postgres

import (
	"context"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
)

// Sampled is a container repository that GitLab knows.
type Sampled struct {
	Project gitlab.Project
	Name    string
}

// smallTable is up to how many rows are all shuffled. In a larger table random
// keys are looked up, which costs the same in a table of any size.
const smallTable = 5000

const (
	countUpTo = `SELECT count(*) FROM (SELECT FROM public.container_repositories LIMIT $1) AS counted`

	// Rows being deleted have no business in a sample of what must be there.
	samplable = `
JOIN public.projects p ON p.id = c.project_id AND p.pending_delete IS NOT TRUE
JOIN public.routes r ON r.source_type = 'Project' AND r.source_id = p.id
WHERE c.status IS NULL`

	shuffleAll = `
SELECT c.project_id, r.path, c.name
FROM public.container_repositories c` + samplable + `
ORDER BY random()
LIMIT $1`

	// Twice as many keys as asked for: some hit the same row, some a row that
	// is no use.
	probeRandomly = `
WITH span AS (
    SELECT min(id) AS least, max(id) AS most FROM public.container_repositories
), probe AS MATERIALIZED (
    SELECT least + floor(random() * (most - least + 1))::bigint AS key
    FROM span, generate_series(1, 2 * $1::int)
), hit AS (
    SELECT DISTINCT found.id, found.project_id, found.name, found.status
    FROM probe
    CROSS JOIN LATERAL (SELECT id, project_id, name, status FROM public.container_repositories
                        WHERE id >= probe.key ORDER BY id LIMIT 1) AS found
)
SELECT c.project_id, r.path, c.name
FROM hit c` + samplable + `
ORDER BY random()
LIMIT $1`
)

// Sample returns up to n container repositories of eligible projects with a
// path, at random; fewer where there are fewer, or where many rows are no use.
func (db *DB) Sample(ctx context.Context, n int) ([]Sampled, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	sample, err := sampleFrom(ctx, db.sql, n)
	return sample, db.fault(ctx, "sample container repositories", err)
}

func sampleFrom(ctx context.Context, from sqlx.QueryerContext, n int) ([]Sampled, error) {
	var rows int
	if err := sqlx.GetContext(ctx, from, &rows, countUpTo, smallTable+1); err != nil {
		return nil, err
	}
	statement := shuffleAll
	if rows > smallTable {
		statement = probeRandomly
	}
	var found []struct {
		ProjectID int64  `db:"project_id"`
		Path      string `db:"path"`
		Name      string `db:"name"`
	}
	if err := sqlx.SelectContext(ctx, from, &found, statement, n); err != nil {
		return nil, err
	}
	sample := make([]Sampled, len(found))
	for i, f := range found {
		sample[i] = Sampled{Project: gitlab.Project{ID: f.ProjectID, FullPath: f.Path}, Name: f.Name}
	}
	return sample, nil
}
