package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
)

const unownedPage = 5000

const selectUnowned = `
SELECT path FROM regmend.unowned_repositories
WHERE scan_number = $1 AND path > $2
ORDER BY scan_number, path
LIMIT $3`

// Unowned calls each with the path of every repository that the last walk
// through the whole catalog found under no project's path, in byte order. It
// ends with each's first error; gitlab.ErrNotFound means that no walk came to
// its end yet.
func (db *DB) Unowned(ctx context.Context, each func(path string) error) error {
	scan, err := db.lastWalk(ctx)
	if err != nil {
		return err
	}
	for last, full := "", true; full; {
		var paths []string
		if err := db.sql.SelectContext(ctx, &paths, selectUnowned, scan, last, unownedPage); err != nil {
			return db.fault(ctx, "read the unowned repositories", err)
		}
		for _, path := range paths {
			if err := each(path); err != nil {
				return err
			}
			last = path
		}
		full = len(paths) == unownedPage
	}
	// The rows of a walk are deleted once there is a later one.
	if now, err := db.lastWalk(ctx); err != nil || now != scan {
		return errors.Join(errors.New("another sweep replaced the list while it was read: read it again"), err)
	}
	return nil
}

func (db *DB) lastWalk(ctx context.Context) (int64, error) {
	var scan int64
	err := db.sql.GetContext(ctx, &scan, lastWalked)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("a sweep that walked through the whole catalog: %w", gitlab.ErrNotFound)
	}
	return scan, db.fault(ctx, "look for the last walk", err)
}

// Contradiction is what catalog and listing disagreed about in one project. Its
// result is what the tags said.
type Contradiction struct {
	Project   gitlab.Project // its full path is the one that was judged
	Text      string
	UpdatedAt time.Time
}

const (
	contradicted = `
FROM regmend.data_repair_details
WHERE contradiction IS NOT NULL AND run_id = (SELECT max(id) FROM regmend.runs)`

	selectContradictions = `
SELECT project_id, full_path, contradiction, updated_at` + contradicted + `
ORDER BY project_id
LIMIT $1`
)

// Contradictions returns up to limit of the current run's, in the order of
// projects, and how many there are.
func (db *DB) Contradictions(ctx context.Context, limit int) (found []Contradiction, total int, err error) {
	var rows []struct {
		ProjectID     int64     `db:"project_id"`
		FullPath      string    `db:"full_path"`
		Contradiction string    `db:"contradiction"`
		UpdatedAt     time.Time `db:"updated_at"`
	}
	snapshot := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err = db.transact(ctx, snapshot, func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &total, `SELECT count(*)`+contradicted); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &rows, selectContradictions, limit)
	})
	found = make([]Contradiction, len(rows))
	for i, row := range rows {
		found[i] = Contradiction{
			Project:   gitlab.Project{ID: row.ProjectID, FullPath: row.FullPath},
			Text:      row.Contradiction,
			UpdatedAt: row.UpdatedAt.UTC(),
		}
	}
	return found, total, db.fault(ctx, "read the contradictions", err)
}
