package postgres

import (
	"context"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const selectPaths = `
SELECT p.id, r.path
FROM unnest($1::bigint[]) AS given (id)
JOIN public.projects p ON p.id = given.id AND p.pending_delete IS NOT TRUE
` + routed + `
WHERE r.path IS NOT NULL
ORDER BY p.id`

// Paths returns those of ids that are eligible and have a route, with their full
// paths. Unlike Load it changes nothing.
func (db *DB) Paths(ctx context.Context, ids []int64) ([]gitlab.Project, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var rows []struct {
		ID   int64  `db:"id"`
		Path string `db:"path"`
	}
	if err := db.sql.SelectContext(ctx, &rows, selectPaths, pq.Array(ids)); err != nil {
		return nil, db.fault(ctx, "read full paths", err)
	}
	projects := make([]gitlab.Project, len(rows))
	for i, row := range rows {
		projects[i] = gitlab.Project{ID: row.ID, FullPath: row.Path}
	}
	return projects, nil
}

// Repositories counts the container repositories that GitLab knows. It takes its
// time: seconds for millions.
func (db *DB) Repositories(ctx context.Context) (n int64, err error) {
	err = db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, allowLong); err != nil {
			return err
		}
		return tx.GetContext(ctx, &n, `SELECT count(*) FROM public.container_repositories`)
	})
	return n, db.fault(ctx, "count the container repositories", err)
}
