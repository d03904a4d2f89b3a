package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// SweepState says how far a sweep has come.
type SweepState string

// A sweep goes through the first three in this order and ends in one of the
// others. A walk that has to begin anew goes back to the first.
const (
	SweepPreparing SweepState = "preparing" // the projects are kept as they are
	SweepWalking   SweepState = "walking"   // the catalog is read
	SweepJudging   SweepState = "judging"   // candidates are asked for their tags, results written
	SweepDone      SweepState = "done"
	SweepFailed    SweepState = "failed"
)

var (
	// ErrSweepRunning says that a sweep of this run has not ended yet.
	ErrSweepRunning = errors.New("a sweep is under way")

	// ErrSweepMoved says that the sweep is elsewhere by now: somebody else went
	// on with it, or the commit whose reply was lost took place.
	ErrSweepMoved = errors.New("the sweep is further than this, or over")
)

// Sweep is a walk over the registry's whole catalog, and where it is.
type Sweep struct {
	ID  int64 `db:"id"`
	Run int64 `db:"run_id"`
	// Scan is the scan number of its results. A walk begun anew has a new one.
	Scan      int64      `db:"scan_number"`
	State     SweepState `db:"state"`
	Reason    string     `db:"reason"` // why it failed, or why its walk was begun anew
	StartedBy string     `db:"started_by"`
	// Position is where in the catalog the next page begins, "" at the first.
	Position string `db:"position"`
	// Cursor is the last project that was kept or judged.
	Cursor int64 `db:"cursor"`
	Pages  int   `db:"pages"`
	// Projects is how many were kept.
	Projects     int64     `db:"projects"`
	Repositories int64     `db:"repositories"` // in the pages read
	Unowned      int64     `db:"unowned"`      // of those, under no project's path
	Candidates   int64     `db:"candidates"`   // and those of a kept project, without a row
	Proven       int64     `db:"proven"`       // projects whose result came of it
	StartedAt    time.Time `db:"started_at"`
	EndedAt      time.Time `db:"-"` // zero while it has not ended
}

// Ended tells whether there is nothing more to be done.
func (s Sweep) Ended() bool { return s.State == SweepDone || s.State == SweepFailed }

// at is ErrSweepMoved where s is not in that state.
func (s Sweep) at(state SweepState) error {
	if s.State != state {
		return fmt.Errorf("sweep %d is %s, not %s: %w", s.ID, s.State, state, ErrSweepMoved)
	}
	return nil
}

const sweepColumns = `id, run_id, scan_number, state, reason, started_by, position, cursor, pages,
       projects, repositories, unowned, candidates, proven, started_at, ended_at`

type sweepRow struct {
	Sweep
	EndedAt sql.NullTime `db:"ended_at"`
}

func (r sweepRow) sweep() Sweep {
	s := r.Sweep
	s.StartedAt, s.EndedAt = s.StartedAt.UTC(), utc(r.EndedAt)
	return s
}

const selectSweep = `SELECT ` + sweepColumns + ` FROM regmend.sweeps ORDER BY id DESC LIMIT 1`

// Sweep returns the last sweep; gitlab.ErrNotFound if there was none.
func (db *DB) Sweep(ctx context.Context) (Sweep, error) {
	var row sweepRow
	err := db.sql.GetContext(ctx, &row, selectSweep)
	if errors.Is(err, sql.ErrNoRows) {
		return Sweep{}, fmt.Errorf("sweep: %w", gitlab.ErrNotFound)
	}
	return row.sweep(), db.fault(ctx, "read the sweep", err)
}

const (
	unfinished = `state IN ('preparing', 'walking', 'judging')`

	failForeignSweeps = `
UPDATE regmend.sweeps
SET state = 'failed', reason = 'another run was begun', ended_at = now()
WHERE ` + unfinished + ` AND run_id <> $1`

	insertSweep = `
INSERT INTO regmend.sweeps (run_id, scan_number, started_by)
VALUES ($1, nextval('regmend.scan_number'), $2)
RETURNING ` + sweepColumns
)

// BeginSweep begins a sweep for run. Its scan number is taken before anything
// is looked at, so that whatever is scanned from now on is newer. A sweep of an
// older run that has not ended is closed; one of this run is ErrSweepRunning.
// ErrRunChanged and ErrStandby are as in Write.
func (db *DB) BeginSweep(ctx context.Context, run Run, by string) (Sweep, error) {
	brief, cancel := briefly(ctx)
	defer cancel()
	var row sweepRow
	err := db.transact(brief, nil, func(tx *sqlx.Tx) error {
		if err := holdRun(brief, tx, run, 0); err != nil {
			return err
		}
		if _, err := tx.ExecContext(brief, failForeignSweeps, run.ID); err != nil {
			return err
		}
		return tx.GetContext(brief, &row, insertSweep, run.ID, legible(by))
	})
	if pq.As(err, pqerror.UniqueViolation) != nil {
		err = ErrSweepRunning
	}
	return row.sweep(), db.fault(ctx, "begin a sweep", err)
}

// FailSweep ends s without a result, and drops what it worked with.
func (db *DB) FailSweep(ctx context.Context, s Sweep, reason string) error {
	_, err := db.step(ctx, "fail the sweep", s, func(_ context.Context, _ *sqlx.Tx, _ Run, s *Sweep) error {
		if s.Ended() {
			return fmt.Errorf("sweep %d is %s: %w", s.ID, s.State, ErrSweepMoved)
		}
		s.State, s.Reason = SweepFailed, legible(reason)
		return nil
	})
	if err != nil {
		return err
	}
	return db.dropLeftovers(ctx)
}

const newScanNumber = `SELECT nextval('regmend.scan_number')`

// RestartWalk begins the walk of s anew, from the keeping of the projects on:
// its position is lost. What was gathered so far counts for nothing, as it
// belongs to the scan number that s had.
func (db *DB) RestartWalk(ctx context.Context, s Sweep, reason string) (Sweep, error) {
	return db.step(ctx, "begin the walk anew", s, func(ctx context.Context, tx *sqlx.Tx, _ Run, s *Sweep) error {
		if s.Ended() {
			return fmt.Errorf("sweep %d is %s: %w", s.ID, s.State, ErrSweepMoved)
		}
		*s = Sweep{ID: s.ID, Run: s.Run, State: SweepPreparing, Reason: legible(reason), StartedBy: s.StartedBy, StartedAt: s.StartedAt}
		return tx.GetContext(ctx, &s.Scan, newScanNumber)
	})
}
