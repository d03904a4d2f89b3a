package postgres

import (
	"context"
	"database/sql"
	"errors"
)

// leftoverChunk is how many rows are deleted in one transaction.
const leftoverChunk = 50000

const (
	// lastWalked is the scan number of the last walk that came to its end.
	lastWalked = `SELECT scan_number FROM regmend.sweeps WHERE state IN ('judging', 'done') ORDER BY id DESC LIMIT 1`

	// A sweep's scan number is the highest of all when it is taken, so nobody
	// works with rows of a lower one.
	selectLiving = `
SELECT coalesce(min(scan_number), 9223372036854775807) AS working, coalesce((` + lastWalked + `), 0) AS shown
FROM regmend.sweeps
WHERE ` + unfinished

	// By key: what was deleted a moment ago is in the index still.
	deleteLeftProjects = `
WITH old AS MATERIALIZED (
    SELECT scan_number, project_id FROM regmend.sweep_projects
    WHERE (scan_number, project_id) > ($1, $2) AND scan_number < $3
    ORDER BY scan_number, project_id
    LIMIT $4
), gone AS (
    DELETE FROM regmend.sweep_projects k USING old
    WHERE k.scan_number = old.scan_number AND k.project_id = old.project_id
)
SELECT scan_number, project_id FROM old ORDER BY scan_number DESC, project_id DESC LIMIT 1`

	deleteLeftCandidates = `
DELETE FROM regmend.sweep_candidates
WHERE ctid = ANY (ARRAY(SELECT ctid FROM regmend.sweep_candidates WHERE scan_number < $1 LIMIT $2))`

	deleteLeftUnowned = `
DELETE FROM regmend.unowned_repositories
WHERE ctid = ANY (ARRAY(SELECT ctid FROM regmend.unowned_repositories WHERE scan_number < $1 AND scan_number <> $3 LIMIT $2))`
)

// dropLeftovers deletes what sweeps worked with that are over, and the unowned
// repositories of all walks but the last. It may run beside anything.
func (db *DB) dropLeftovers(ctx context.Context) error {
	var living struct{ Working, Shown int64 }
	if err := db.sql.GetContext(ctx, &living, selectLiving); err != nil {
		return db.fault(ctx, "look for old sweeps", err)
	}
	if err := db.dropLeftProjects(ctx, living.Working); err != nil {
		return db.fault(ctx, "drop what old sweeps kept", err)
	}
	if err := db.deleteAll(ctx, deleteLeftCandidates, living.Working, leftoverChunk); err != nil {
		return db.fault(ctx, "drop old sweeps' candidates", err)
	}
	err := db.deleteAll(ctx, deleteLeftUnowned, living.Working, leftoverChunk, living.Shown)
	return db.fault(ctx, "drop old sweeps' unowned repositories", err)
}

func (db *DB) dropLeftProjects(ctx context.Context, below int64) error {
	var last struct {
		Scan      int64 `db:"scan_number"`
		ProjectID int64 `db:"project_id"`
	}
	for {
		brief, cancel := briefly(ctx)
		err := db.sql.GetContext(brief, &last, deleteLeftProjects, last.Scan, last.ProjectID, below, leftoverChunk)
		cancel()
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// deleteAll runs a statement that deletes some rows until it finds none.
func (db *DB) deleteAll(ctx context.Context, statement string, args ...any) error {
	for {
		brief, cancel := briefly(ctx)
		gone, err := db.sql.ExecContext(brief, statement, args...)
		cancel()
		if err != nil {
			return err
		}
		if n, err := gone.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}
