package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// ErrStepTaken says that another step of the brake was taken meanwhile, or
// another run begun: whoever took it knows better.
var ErrStepTaken = errors.New("another step of the brake was taken meanwhile")

// FirstSlots is how many slots the brake leaves in a run before its first step.
const FirstSlots = 2

// BrakeStep is one change of how many slots may be in use below max_concurrency.
type BrakeStep struct {
	ID     int64 // 0: there is none
	Run    int64
	At     time.Time
	By     string
	Was    int     // slots before
	Slots  int     // slots from then on
	Usual  Latency // as far as it is to be relied on
	Reason string
}

// Latency is how long the registry's answers take while nothing waits in it, small
// ones and large ones; 0: not known.
type Latency struct{ Small, Large time.Duration }

// BrakeSlots is how many slots the brake leaves, be it on or off.
func (s State) BrakeSlots() int {
	if s.Brake.ID == 0 || s.Brake.Run != s.Run.ID {
		return FirstSlots
	}
	return s.Brake.Slots
}

// Slots is how many may be in use, over all consumers: max_concurrency, or less
// where the brake says so.
func (s State) Slots() int {
	if !s.Settings.Brake {
		return s.Settings.MaxConcurrency
	}
	return min(s.Settings.MaxConcurrency, s.BrakeSlots())
}

// keptSteps bounds the table.
const keptSteps = 1000

const insertStep = `
WITH old AS (
    DELETE FROM regmend.brake_steps WHERE id <= $1::bigint - $9
)
INSERT INTO regmend.brake_steps (follows, run_id, taken_by, was, slots, usual_us, usual_large_us, reason)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE $2 = (SELECT max(id) FROM regmend.runs)
ON CONFLICT (follows) DO NOTHING
RETURNING id, taken_at`

// TakeStep takes a step that follows the one with the ID after, 0 for the first.
// It is ErrStepTaken if that is not the last any more, or the run not the current
// one.
func (db *DB) TakeStep(ctx context.Context, after int64, step BrakeStep) (BrakeStep, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	err := db.sql.QueryRowxContext(ctx, insertStep, after, step.Run, step.By, step.Was, step.Slots,
		step.Usual.Small.Microseconds(), step.Usual.Large.Microseconds(), step.Reason, keptSteps).Scan(&step.ID, &step.At)
	if errors.Is(err, sql.ErrNoRows) {
		return BrakeStep{}, ErrStepTaken
	}
	step.At = step.At.UTC()
	return step, db.fault(ctx, "take a step of the brake", err)
}

const (
	stepColumns = `id, run_id, taken_at, taken_by, was, slots, usual_us, usual_large_us, reason`

	selectSteps = `SELECT ` + stepColumns + ` FROM regmend.brake_steps ORDER BY id DESC LIMIT $1`
)

// BrakeSteps returns the last steps, the newest first.
func (db *DB) BrakeSteps(ctx context.Context, limit int) ([]BrakeStep, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var rows []stepRow
	if err := db.sql.SelectContext(ctx, &rows, selectSteps, limit); err != nil {
		return nil, db.fault(ctx, "read the steps of the brake", err)
	}
	steps := make([]BrakeStep, len(rows))
	for i, row := range rows {
		steps[i] = row.step()
	}
	return steps, nil
}

type stepRow struct {
	ID      int64     `db:"id" json:"id"`
	Run     int64     `db:"run_id" json:"run_id"`
	TakenAt time.Time `db:"taken_at" json:"taken_at"`
	TakenBy string    `db:"taken_by" json:"taken_by"`
	Was     int       `db:"was" json:"was"`
	Slots   int       `db:"slots" json:"slots"`
	SmallUS int64     `db:"usual_us" json:"usual_us"`
	LargeUS int64     `db:"usual_large_us" json:"usual_large_us"`
	Reason  string    `db:"reason" json:"reason"`
}

func (row stepRow) step() BrakeStep {
	usual := Latency{Small: time.Duration(row.SmallUS) * time.Microsecond, Large: time.Duration(row.LargeUS) * time.Microsecond}
	return BrakeStep{
		ID: row.ID, Run: row.Run, At: row.TakenAt.UTC(), By: row.TakenBy,
		Was: row.Was, Slots: row.Slots, Usual: usual, Reason: row.Reason,
	}
}
