package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// Counts are the projects of one moment, each figure counted by itself, so
// that it means something when they add up.
type Counts struct {
	Projects   int64 `db:"projects"`
	Eligible   int64 `db:"eligible"`
	Ineligible int64 `db:"ineligible"`
	// Completed, Failed and Pending are of eligible projects.
	Completed int64 `db:"completed"`
	Failed    int64 `db:"failed"`
	Pending   int64 `db:"pending"`
	// Looked are the pending ones that wait for a second look.
	Looked int64 `db:"looked"`
	// MissingTotal and ProjectsWithMissing are of the completed ones.
	MissingTotal        int64 `db:"missing_total"`
	ProjectsWithMissing int64 `db:"projects_with_missing"`
}

// Balanced tells whether every project is accounted for.
func (c Counts) Balanced() bool {
	return c.Projects == c.Eligible+c.Ineligible && c.Eligible == c.Completed+c.Failed+c.Pending
}

const (
	countProjects = `
SELECT count(*) AS projects,
       count(*) FILTER (WHERE pending_delete IS NOT TRUE) AS eligible,
       count(*) FILTER (WHERE pending_delete IS TRUE) AS ineligible
FROM public.projects`

	// There are few looks, and of each the project and the row are looked up.
	countLooks = `
SELECT count(*)
FROM regmend.looks l
CROSS JOIN LATERAL (SELECT id FROM public.projects
                    WHERE id = l.project_id AND pending_delete IS NOT TRUE LIMIT 1) AS p
LEFT JOIN LATERAL (SELECT * FROM regmend.data_repair_details WHERE project_id = l.project_id LIMIT 1) AS d ON true
WHERE ` + looked + ` AND NOT ` + trusted

	// Both tables are read once in the order of their keys: hashed, ten million rows
	// are written to disk and read again, which takes three times as long.
	inOrder = `SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = off; SET LOCAL max_parallel_workers_per_gather = 0`

	// OFFSET keeps the planner from asking what a row is worth for each figure.
	countResults = `
SELECT count(*) FILTER (WHERE stands AND status = 'completed') AS completed,
       count(*) FILTER (WHERE stands AND status = 'failed') AS failed,
       count(*) FILTER (WHERE NOT stands) AS pending,
       count(*) FILTER (WHERE stands AND status = 'completed' AND missing_count > 0) AS projects_with_missing,
       coalesce(sum(missing_count) FILTER (WHERE stands AND status = 'completed'), 0) AS missing_total
FROM (
    SELECT ` + trusted + ` AS stands, d.status, d.missing_count
    FROM public.projects p
    LEFT JOIN regmend.data_repair_details d ON d.project_id = p.id
    WHERE p.pending_delete IS NOT TRUE
    OFFSET 0
) AS result`
)

// Counts counts every project in one snapshot. It takes its time: seconds for
// millions of projects.
func (db *DB) Counts(ctx context.Context, run Run) (Counts, error) {
	var counts Counts
	snapshot := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err := db.transact(ctx, snapshot, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, allowLong); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &counts, countProjects); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &counts.Looked, countLooks, run.ID, run.Scan); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, inOrder); err != nil {
			return err
		}
		return tx.GetContext(ctx, &counts, countResults, run.ID, run.Scan)
	})
	return counts, db.fault(ctx, "count the projects", err)
}
