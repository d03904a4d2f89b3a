package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

// An item that GitLab was asked for before, by a process that did not live to see
// the row, may have its row by now, or somebody else's.
const doubtAfterDeath = `'GitLab was asked for it by a process that died: the row may be of a push at that time'`

const askItem = `
WITH i AS (
    SELECT number, project_id, name, full_path, repository_created_at AS created_at, asked_at
    FROM regmend.repair_items WHERE plan_id = $1 AND number = $2 AND state = 'open'
), looked AS (
    SELECT i.number, i.asked_at, judged.has_row, c.id, to_jsonb(c) AS found,
           ARRAY(SELECT unnest(judged.refusals) EXCEPT SELECT unnest($4::text[]) ORDER BY 1) AS refusals
    FROM i` + judgedItem + `
    LEFT JOIN public.container_repositories c
        ON c.project_id = i.project_id AND c.name = i.name AND c.created_at >= i.asked_at AT TIME ZONE 'utc'
)
UPDATE regmend.repair_items item
SET state = CASE WHEN looked.id IS NOT NULL THEN 'applied' WHEN has_row OR looked.refusals <> '{}' THEN 'skipped' ELSE 'open' END,
    reason = CASE WHEN looked.id IS NOT NULL OR NOT has_row AND looked.refusals = '{}' THEN NULL ` + skipReason + ` END,
    inserted_id = looked.id, inserted = looked.found,
    doubt = CASE WHEN looked.id IS NOT NULL THEN ` + doubtAfterDeath + ` END,
    asked_at = coalesce(item.asked_at, clock_timestamp()),
    order_id = CASE WHEN looked.id IS NOT NULL OR has_row OR looked.refusals <> '{}' THEN $3::bigint END, changed_at = now()
FROM looked
WHERE item.plan_id = $1 AND item.number = looked.number
RETURNING item.state, coalesce(item.reason, '') AS reason, coalesce(item.inserted_id, 0) AS row, clock_timestamp() AS at`

// Asked is an item that GitLab may be asked for, or what became of it instead.
type Asked struct {
	Decided
	At time.Time // by the database's clock; GitLab is asked after it
}

// Ask makes sure that still nothing speaks against the item, and notes that GitLab
// is about to be asked for its row: State is ItemOpen then.
func (db *DB) Ask(ctx context.Context, run Run, order Order, number int) (Asked, error) {
	var a Asked
	err := db.onItem(ctx, "look at the row before GitLab is asked", run, order, number, ItemOpen,
		func(ctx context.Context, tx *sqlx.Tx, item lockedItem) error {
			return tx.QueryRowxContext(ctx, askItem, order.Plan, number, order.ID, item.Accepted).
				Scan(&a.State, &a.Reason, &a.Row, &a.At)
		})
	return a, err
}

// The row was not there right before $4. That it was made since can only be told
// by its time, which is GitLab's clock.
const foundItem = `
UPDATE regmend.repair_items item
SET state = 'applied', inserted_id = c.id, inserted = to_jsonb(c), order_id = $3, changed_at = now(),
    doubt = CASE WHEN c.created_at < $4::timestamptz AT TIME ZONE 'utc'
                 THEN 'its created_at is before GitLab was asked for it: clocks differ, or somebody else made it' END
FROM public.container_repositories c
WHERE item.plan_id = $1 AND item.number = $2 AND item.state = 'open' AND c.project_id = item.project_id AND c.name = item.name
RETURNING item.state, coalesce(item.reason, '') AS reason, coalesce(item.inserted_id, 0) AS row`

// Found journals the row that GitLab made since it was asked. There being none is
// a failed item.
func (db *DB) Found(ctx context.Context, run Run, order Order, number int, asked time.Time) (Decided, error) {
	var d Decided
	err := db.onItem(ctx, "look for the row that GitLab was asked for", run, order, number, ItemOpen,
		func(ctx context.Context, tx *sqlx.Tx, _ lockedItem) error {
			err := scanDecided(tx.QueryRowxContext(ctx, foundItem, order.Plan, number, order.ID, asked), &d)
			if errors.Is(err, sql.ErrNoRows) {
				d = Decided{State: ItemFailed, Reason: "GitLab gave a token for its path, but made no row"}
				_, err = tx.ExecContext(ctx, leaveItem, order.Plan, order.ID, number, d.State, d.Reason)
			}
			return err
		})
	return d, err
}
