package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// chunks are how much a step of a sweep does: as much as is worth a transaction,
// and little enough that nobody has to wait for its locks.
type chunks struct {
	keep       int // projects that are kept
	judge      int // projects that are judged
	candidates int // candidates that are judged, about: a project's are judged together
}

var usualChunks = chunks{keep: 50000, judge: 20000, candidates: 10000}

const (
	selectRun = `
SELECT id, started_at, reason, registry, system_identifier, scan_number
FROM regmend.runs
WHERE id = $1`

	// Whoever waits for the row's lock compares what it has become.
	lockSweep = `
SELECT ` + sweepColumns + `
FROM regmend.sweeps
WHERE id = $1 AND run_id = $2 AND scan_number = $3 AND state = $4 AND position = $5 AND pages = $6 AND cursor = $7
FOR UPDATE`

	updateSweep = `
UPDATE regmend.sweeps
SET scan_number = $2, state = $3, reason = $4, position = $5, cursor = $6, pages = $7, projects = $8,
    repositories = $9, unowned = $10, candidates = $11, proven = $12,
    ended_at = CASE WHEN $3 IN ('done', 'failed') THEN now() END
WHERE id = $1
RETURNING ` + sweepColumns
)

// step makes one step of s in a transaction of its own and returns what s is
// then. work is given s as it stands, and changes it. Where the table says
// otherwise than s it is ErrSweepMoved and nothing is done: of two that believe
// that s is theirs, one makes the step. The run is held as in Write.
func (db *DB) step(ctx context.Context, doing string, s Sweep, work func(context.Context, *sqlx.Tx, Run, *Sweep) error) (Sweep, error) {
	brief, cancel := briefly(ctx)
	defer cancel()
	var next Sweep
	err := db.transact(brief, nil, func(tx *sqlx.Tx) error {
		run, err := holdSweep(brief, tx, s, &next)
		if err != nil {
			return err
		}
		before := next
		if err := work(brief, tx, run, &next); err != nil || next == before {
			return err
		}
		return storeSweep(brief, tx, &next)
	})
	if err != nil {
		return Sweep{}, db.fault(ctx, doing, err)
	}
	return next, nil
}

// holdSweep makes sure that run and sweep are what s says and stay so until the
// transaction ends. Into current it puts s as it stands.
func holdSweep(ctx context.Context, tx *sqlx.Tx, s Sweep, current *Sweep) (Run, error) {
	var run Run
	err := tx.GetContext(ctx, &run, selectRun, s.Run)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("run %d: %w", s.Run, ErrRunChanged)
	}
	if err != nil {
		return run, err
	}
	if err := holdRun(ctx, tx, run, s.Scan); err != nil {
		return run, err
	}
	var row sweepRow
	err = tx.GetContext(ctx, &row, lockSweep, s.ID, s.Run, s.Scan, s.State, s.Position, s.Pages, s.Cursor)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("sweep %d: %w", s.ID, ErrSweepMoved)
	}
	*current = row.sweep()
	return run, err
}

func storeSweep(ctx context.Context, tx *sqlx.Tx, s *Sweep) error {
	var row sweepRow
	err := tx.GetContext(ctx, &row, updateSweep, s.ID, s.Scan, s.State, s.Reason, s.Position, s.Cursor, s.Pages, s.Projects,
		s.Repositories, s.Unowned, s.Candidates, s.Proven)
	*s = row.sweep()
	return err
}
