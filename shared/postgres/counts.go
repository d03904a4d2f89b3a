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
	// MissingTotal and ProjectsWithMissing are of the completed ones.
	MissingTotal        int64 `db:"missing_total"`
	ProjectsWithMissing int64 `db:"projects_with_missing"`
}

// Balanced tells whether every project is accounted for.
func (c Counts) Balanced() bool {
	return c.Projects == c.Eligible+c.Ineligible && c.Eligible == c.Completed+c.Failed+c.Pending
}

const (
	countEligible = `SELECT count(*) FROM public.projects WHERE pending_delete IS NOT TRUE`

	// results are those of eligible projects that can be believed.
	countResults = ` FROM public.projects p
	JOIN regmend.data_repair_details d ON d.project_id = p.id
	WHERE p.pending_delete IS NOT TRUE AND ` + trusted
)

const selectCounts = `
SELECT (SELECT count(*) FROM public.projects) AS projects,
       (` + countEligible + `) AS eligible,
       (SELECT count(*) FROM public.projects WHERE pending_delete IS TRUE) AS ineligible,
       (SELECT count(*)` + countResults + ` AND d.status = 'completed') AS completed,
       (SELECT count(*)` + countResults + ` AND d.status = 'failed') AS failed,
       (SELECT count(*) FROM public.projects p
        WHERE p.pending_delete IS NOT TRUE
          AND NOT EXISTS (SELECT FROM regmend.data_repair_details d WHERE d.project_id = p.id AND ` + trusted + `)) AS pending,
       (SELECT count(*)` + countResults + ` AND d.status = 'completed' AND d.missing_count > 0) AS projects_with_missing,
       (SELECT coalesce(sum(d.missing_count), 0)` + countResults + ` AND d.status = 'completed') AS missing_total`

// Counts counts every project in one snapshot. It takes its time: seconds for
// millions of projects.
func (db *DB) Counts(ctx context.Context, run Run) (Counts, error) {
	var counts Counts
	snapshot := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err := db.transact(ctx, snapshot, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, allowLong); err != nil {
			return err
		}
		return tx.GetContext(ctx, &counts, selectCounts, run.ID, run.Scan)
	})
	return counts, db.fault(ctx, "count the projects", err)
}
