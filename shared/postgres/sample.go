package postgres

import (
	"context"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
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

	// Of one project no more than asked for, lest a large one cost more.
	shuffleSome = `
SELECT c.project_id, r.path, c.name
FROM unnest($2::bigint[]) AS given (id)
CROSS JOIN LATERAL (SELECT found.project_id, found.name, found.status
                    FROM public.container_repositories found
                    WHERE found.project_id = given.id AND found.status IS NULL
                    LIMIT $1) AS c` + samplable + `
ORDER BY random()
LIMIT $1`

	selectStands = `
SELECT count(*) > 0
FROM public.container_repositories c` + samplable + `
  AND c.project_id = $1 AND c.name = $2 AND r.path = $3`

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
	return selectSample(ctx, from, statement, n)
}

// SampleOf is Sample of some projects.
func (db *DB) SampleOf(ctx context.Context, ids []int64, n int) ([]Sampled, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	sample, err := selectSample(ctx, db.sql, shuffleSome, n, pq.Array(ids))
	return sample, db.fault(ctx, "sample container repositories of some projects", err)
}

// Stands tells whether what was sampled would be again: its row is there, of a
// project of the same full path.
func (db *DB) Stands(ctx context.Context, s Sampled) (stands bool, err error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	err = db.sql.GetContext(ctx, &stands, selectStands, s.Project.ID, s.Name, s.Project.FullPath)
	return stands, db.fault(ctx, "look for a sampled container repository", err)
}

func selectSample(ctx context.Context, from sqlx.QueryerContext, statement string, args ...any) ([]Sampled, error) {
	var found []struct {
		ProjectID int64  `db:"project_id"`
		Path      string `db:"path"`
		Name      string `db:"name"`
	}
	if err := sqlx.SelectContext(ctx, from, &found, statement, args...); err != nil {
		return nil, err
	}
	sample := make([]Sampled, len(found))
	for i, f := range found {
		sample[i] = Sampled{Project: gitlab.Project{ID: f.ProjectID, FullPath: f.Path}, Name: f.Name}
	}
	return sample, nil
}
