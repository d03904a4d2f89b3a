package postgres

import (
	"context"
	"database/sql"
	"errors"
)

// leftoverChunk is about how many rows are deleted in one transaction.
const leftoverChunk = 50000

const (
	// lastWalked is the scan number of the last walk that came to its end.
	lastWalked = `SELECT scan_number FROM regmend.sweeps WHERE state IN ('judging', 'done') ORDER BY id DESC LIMIT 1`

	// leftOver: nobody works with the row. Asked in the statement that deletes
	// it: whoever sees rows of a sweep that began in between, sees that sweep.
	leftOver = `scan_number <> ALL (ARRAY(SELECT scan_number FROM regmend.sweeps WHERE ` + unfinished + `))`

	// By key: what was deleted a moment ago is in the index still.
	selectLeftProject = `
SELECT scan_number, project_id
FROM regmend.sweep_projects
WHERE (scan_number, project_id) > ($1, $2) AND ` + leftOver + `
ORDER BY scan_number, project_id
LIMIT 1`

	deleteLeftProjects = `
DELETE FROM regmend.sweep_projects
WHERE scan_number = $1 AND project_id >= $2 AND project_id <= $3 AND ` + leftOver

	deleteLeftCandidates = `
DELETE FROM regmend.sweep_candidates
WHERE ctid = ANY (ARRAY(SELECT ctid FROM regmend.sweep_candidates WHERE ` + leftOver + ` LIMIT $1))`

	deleteLeftSample = `DELETE FROM regmend.sweep_sample WHERE ` + leftOver

	deleteLeftUnowned = `
DELETE FROM regmend.unowned_repositories
WHERE ctid = ANY (ARRAY(SELECT ctid FROM regmend.unowned_repositories
                        WHERE ` + leftOver + ` AND scan_number <> ALL (ARRAY(` + lastWalked + `))
                        LIMIT $1))`
)

// dropLeftovers deletes what sweeps worked with that are over, and the unowned
// repositories of all walks but the last. It may run beside anything.
func (db *DB) dropLeftovers(ctx context.Context) error {
	err := db.dropLeftProjects(ctx)
	if err == nil {
		_, err = db.deleteBriefly(ctx, deleteLeftSample)
	}
	for _, statement := range []string{deleteLeftCandidates, deleteLeftUnowned} {
		for n := int64(1); n > 0 && err == nil; {
			n, err = db.deleteBriefly(ctx, statement, leftoverChunk)
		}
	}
	return db.fault(ctx, "drop what old sweeps worked with", err)
}

func (db *DB) dropLeftProjects(ctx context.Context) error {
	var scan, project int64
	for {
		var err error
		scan, project, err = db.leftProject(ctx, scan, project)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		last := project + leftoverChunk
		if _, err := db.deleteBriefly(ctx, deleteLeftProjects, scan, project, last); err != nil {
			return err
		}
		project = last
	}
}

// leftProject is the next after that key; sql.ErrNoRows if there is none.
func (db *DB) leftProject(ctx context.Context, scan, project int64) (nextScan, nextProject int64, err error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	err = db.sql.QueryRowxContext(ctx, selectLeftProject, scan, project).Scan(&nextScan, &nextProject)
	return nextScan, nextProject, err
}

func (db *DB) deleteBriefly(ctx context.Context, statement string, args ...any) (int64, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	deleted, err := db.sql.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return deleted.RowsAffected()
}
