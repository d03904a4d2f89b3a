package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Decided is what became of an item.
type Decided struct {
	State  ItemState
	Reason string
	Row    int64 // the row inserted, or removed; 0 if none was
}

const (
	// Nobody of GitLab's is kept waiting for long, nor waits this for them.
	waitBriefly = `SET LOCAL lock_timeout = '2s'`

	// The plan's row keeps another order from beginning, the item's another worker
	// off. What the operator said last is read with them.
	lockItem = `
SELECT p.accepted, i.state, i.inserted_id, i.inserted, i.asked_at,
       EXISTS (SELECT FROM regmend.settings WHERE key = 'repair_enabled' AND value = 'true') AS enabled
FROM regmend.repair_plans p
JOIN regmend.repair_items i ON i.plan_id = p.id
WHERE p.id = $1 AND p.order_id = $2 AND p.state = $4 AND p.stopped IS NULL AND i.number = $3
FOR SHARE OF p FOR UPDATE OF i`

	// Until the transaction ends nobody changes what the table is.
	lockTable = `LOCK TABLE public.container_repositories IN ROW EXCLUSIVE MODE`
)

type lockedItem struct {
	Accepted   pq.StringArray `db:"accepted"`
	State      ItemState      `db:"state"`
	InsertedID sql.NullInt64  `db:"inserted_id"`
	Inserted   sql.NullString `db:"inserted"`
	AskedAt    sql.NullTime   `db:"asked_at"`
	Enabled    bool           `db:"enabled"`
}

// onItem does work on an item of an order in one transaction, with the run, the
// plan and the item held. An item that is not in the state from any more was
// decided by somebody, or by a commit whose reply was lost: then nothing is done.
func (db *DB) onItem(ctx context.Context, doing string, run Run, order Order, number int, from ItemState,
	work func(context.Context, *sqlx.Tx, lockedItem) error,
) error {
	brief, cancel := briefly(ctx)
	defer cancel()
	err := db.transact(brief, nil, func(tx *sqlx.Tx) error {
		item, err := holdItem(brief, tx, run, order, number)
		if err != nil || item.State != from {
			return err
		}
		return work(brief, tx, item)
	})
	return db.repairFault(ctx, doing, err)
}

func holdItem(ctx context.Context, tx *sqlx.Tx, run Run, order Order, number int) (item lockedItem, err error) {
	if _, err := tx.ExecContext(ctx, waitBriefly); err != nil {
		return item, err
	}
	if err := holdRun(ctx, tx, run, run.Scan); err != nil {
		return item, err
	}
	state := PlanApplying
	if order.Action == ActionUndo {
		state = PlanUndoing
	}
	err = tx.GetContext(ctx, &item, lockItem, order.Plan, order.ID, number, state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return item, ErrOrderOver
	case err == nil && !item.Enabled:
		return item, ErrRepairDisabled
	}
	return item, err
}

// All rules are looked at again in the statement that inserts, and what it did is
// journalled in it: there is no moment in between.
const restoreItem = `
WITH i AS (
    SELECT number, project_id, name, full_path, repository_created_at AS created_at
    FROM regmend.repair_items WHERE plan_id = $1 AND number = $2 AND state = 'open'
), looked AS (
    SELECT i.number, i.project_id, i.name, judged.has_row,
           ARRAY(SELECT unnest(judged.refusals) EXCEPT SELECT unnest($4::text[]) ORDER BY 1) AS refusals
    FROM i` + judgedItem + `
), made AS (
    INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
    SELECT project_id, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
    FROM looked
    WHERE NOT has_row AND refusals = '{}'
    ON CONFLICT (project_id, name) DO NOTHING
    RETURNING *
)
UPDATE regmend.repair_items item
SET state = CASE WHEN made.id IS NULL THEN 'skipped' ELSE 'applied' END,
    reason = CASE WHEN made.id IS NOT NULL THEN NULL ` + skipReason + ` END,
    inserted_id = made.id, inserted = CASE WHEN made.id IS NOT NULL THEN to_jsonb(made) END,
    order_id = $3, changed_at = now()
FROM looked
LEFT JOIN made ON made.project_id = looked.project_id
WHERE item.plan_id = $1 AND item.number = looked.number
RETURNING item.state, coalesce(item.reason, '') AS reason, coalesce(item.inserted_id, 0) AS row`

// skipReason are the arms of a CASE that say why looked is skipped.
const skipReason = `WHEN looked.refusals <> '{}' THEN 'refused: ' || array_to_string(looked.refusals, ', ')
	ELSE 'it has a row by now'`

// Restore inserts the item's row in GitLab's own way if still nothing speaks
// against it, and journals it in the same transaction. What was decided before is
// a zero Decided. A *CannotRepairError says that nothing can be inserted here at
// all; ErrBusyTable, ErrOrderOver and ErrRepairDisabled that this is not the time.
func (db *DB) Restore(ctx context.Context, run Run, order Order, number int) (Decided, error) {
	var d Decided
	err := db.onItem(ctx, "restore the row", run, order, number, ItemOpen,
		func(ctx context.Context, tx *sqlx.Tx, item lockedItem) error {
			if _, err := tx.ExecContext(ctx, lockTable); err != nil {
				return err
			}
			if err := sameTable(ctx, tx); err != nil {
				return err
			}
			return scanDecided(tx.QueryRowxContext(ctx, restoreItem, order.Plan, number, order.ID, item.Accepted), &d)
		})
	return d, err
}

func scanDecided(row *sqlx.Row, d *Decided) error { return row.Scan(&d.State, &d.Reason, &d.Row) }

// Refused tells whether the database would not take the values themselves.
func Refused(err error) bool { return refused(err) }
