package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Run is one pass over one installation and one registry.
type Run struct {
	ID        int64     `db:"id"`
	StartedAt time.Time `db:"started_at"`
	Reason    string    `db:"reason"`
	Registry  string    `db:"registry"`          // the registry's identity
	SystemID  string    `db:"system_identifier"` // the Postgres cluster's
	// Scan is the scan number the run began with: every result of it has a
	// higher one.
	Scan int64 `db:"scan_number"`
}

// A set-back database hands out scan numbers again that Redis has seen; the
// sequence is moved above them first. setval is never rolled back, which is
// harmless: numbers may be skipped. Where it is above already it is left alone:
// to set it to its own value would take back what is given out in that moment.
const raiseScanNumber = `
SELECT setval('regmend.scan_number', $1)
FROM regmend.scan_number
WHERE last_value < $1`

const insertRun = `
INSERT INTO regmend.runs (reason, registry, system_identifier, scan_number)
SELECT $1, $2, system_identifier::text, nextval('regmend.scan_number')
FROM pg_control_system()
RETURNING id, started_at, reason, registry, system_identifier, scan_number`

// NewRun begins a run and returns it; its scan numbers are above above. Writes
// for the run before it have ended or will be refused.
func (db *DB) NewRun(ctx context.Context, reason, registry string, above int64) (Run, error) {
	var run Run
	err := db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, takeLock, lockSpace, lockRun); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, raiseScanNumber, above); err != nil {
			return err
		}
		return tx.GetContext(ctx, &run, insertRun, reason, registry)
	})
	run.StartedAt = run.StartedAt.UTC()
	return run, db.fault(ctx, "begin a run", err)
}

const selectRuns = `
SELECT id, started_at, reason, registry, system_identifier, scan_number
FROM regmend.runs
ORDER BY id DESC`

// Runs returns all runs, the current one first; none is an empty slice.
func (db *DB) Runs(ctx context.Context) ([]Run, error) {
	runs := []Run{}
	if err := db.sql.SelectContext(ctx, &runs, selectRuns); err != nil {
		return nil, db.fault(ctx, "read the runs", err)
	}
	for i := range runs {
		runs[i].StartedAt = runs[i].StartedAt.UTC()
	}
	return runs, nil
}

// The sequence is read beside the run: a restore that kept the run's row may
// still have set the numbers back.
const checkRun = `
SELECT pg_is_in_recovery() AS standby,
       EXISTS (SELECT FROM regmend.runs
               WHERE id = $1 AND scan_number = $2 AND id = (SELECT max(id) FROM regmend.runs))
       AND (SELECT last_value FROM regmend.scan_number) >= $3 AS same`

// holdRun makes sure that run is the current one and stays so until the
// transaction ends, that no versions are removed until then, and that scan, the highest number to be written, was given
// out by this database.
func holdRun(ctx context.Context, tx *sqlx.Tx, run Run, scan int64) error {
	// A statement of its own: the check's snapshot must be taken after it.
	if _, err := tx.ExecContext(ctx, takeWritersLocks, lockSpace, lockRun, lockSnapshots); err != nil {
		return err
	}
	var is struct{ Standby, Same bool }
	if err := tx.GetContext(ctx, &is, checkRun, run.ID, run.Scan, scan); err != nil {
		return err
	}
	switch {
	case is.Standby:
		return ErrStandby
	case !is.Same:
		return fmt.Errorf("run %d, scan %d: %w", run.ID, scan, ErrRunChanged)
	}
	return nil
}
