package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Order is what is to be done with a plan's items.
type Order struct {
	ID, Plan, Run int64
	Action        string // ActionApply or ActionUndo
	Via           Via    // of apply
}

const (
	lockPlan = `SELECT run_id, state FROM regmend.repair_plans WHERE id = $1 FOR UPDATE`

	orderPlan = `
UPDATE regmend.repair_plans
SET state = $2, via = coalesce(nullif($3, ''), via), order_id = $4, stopped = NULL
WHERE id = $1`

	// What failed is tried again.
	reopenFailed = `
UPDATE regmend.repair_items
SET state = 'open', reason = NULL, order_id = NULL, changed_at = now()
WHERE plan_id = $1 AND state = 'failed'`

	// What was kept may be removable by now.
	reviveKept = `
UPDATE regmend.repair_items
SET state = 'applied', reason = NULL, order_id = $2, changed_at = now()
WHERE plan_id = $1 AND state = 'kept'`
)

// Begin gives an order for a plan: from now on all work of an older one is void.
// It waits for items that are being worked on. An apply needs a plan of run that
// was not undone.
func (db *DB) Begin(ctx context.Context, run Run, order Order, who Who) (Order, error) {
	brief, cancel := briefly(ctx)
	defer cancel()
	order.Run = run.ID
	err := db.transact(brief, nil, func(tx *sqlx.Tx) (err error) {
		order.ID, err = beginOrder(brief, tx, run, order, who)
		return err
	})
	return order, db.fault(ctx, "begin to "+order.Action, err)
}

func beginOrder(ctx context.Context, tx *sqlx.Tx, run Run, order Order, who Who) (id int64, err error) {
	if err := holdRun(ctx, tx, run, run.Scan); err != nil {
		return 0, err
	}
	var is struct {
		Run   int64     `db:"run_id"`
		State PlanState `db:"state"`
	}
	err = tx.GetContext(ctx, &is, lockPlan, order.Plan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, noPlan(order.Plan)
	case err != nil:
		return 0, err
	}
	state, again, what := PlanApplying, reopenFailed, "apply via "+string(order.Via)
	if order.Action == ActionUndo {
		state, again, what = PlanUndoing, reviveKept, "undo"
	}
	switch {
	case state == PlanApplying && is.Run != run.ID:
		return 0, fmt.Errorf("plan %d is of run %d, this is run %d: make a new plan", order.Plan, is.Run, run.ID)
	case state == PlanApplying && is.State == PlanUndoing:
		return 0, fmt.Errorf("plan %d was undone: make a new plan", order.Plan)
	case state == PlanUndoing && is.State == PlanPlanned:
		return 0, fmt.Errorf("plan %d was never applied: there is nothing to undo", order.Plan)
	}
	if id, err = audit(ctx, tx, who, order.Action, order.Plan, what); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, orderPlan, order.Plan, state, order.Via, id); err != nil {
		return 0, err
	}
	args := []any{order.Plan}
	if order.Action == ActionUndo {
		args = append(args, id)
	}
	_, err = tx.ExecContext(ctx, again, args...)
	return id, err
}

// Of an undo's work: what has its row; of an apply's: what is open, or was applied
// and not looked at again.
const left = `CASE p.state WHEN 'undoing' THEN i.state = 'applied' OR i.state = 'undone' AND i.rescan_after IS NULL
	ELSE i.state = 'open' OR i.state = 'applied' AND i.rescan_after IS NULL END`

const selectLeft = `
SELECT i.number
FROM regmend.repair_items i
JOIN regmend.repair_plans p ON p.id = i.plan_id
WHERE p.id = $1 AND p.order_id = $2 AND ` + left + `
ORDER BY i.number`

// Span are items by their numbers, both ends included.
type Span struct{ From, To int }

// Spans cuts what is left of an order into spans of up to size items.
func (db *DB) Spans(ctx context.Context, order Order, size int) ([]Span, error) {
	var numbers []int
	if err := db.sql.SelectContext(ctx, &numbers, selectLeft, order.Plan, order.ID); err != nil {
		return nil, db.fault(ctx, "read what is left of the plan", err)
	}
	var spans []Span
	for len(numbers) > 0 {
		n := min(size, len(numbers))
		spans = append(spans, Span{numbers[0], numbers[n-1]})
		numbers = numbers[n:]
	}
	return spans, nil
}

const stopOrder = `UPDATE regmend.repair_plans SET stopped = $3 WHERE id = $1 AND order_id = $2 AND stopped IS NULL`

// StopOrder ends an order that cannot go on, for that reason.
func (db *DB) StopOrder(ctx context.Context, order Order, reason string) error {
	ctx, cancel := briefly(ctx)
	defer cancel()
	_, err := db.sql.ExecContext(ctx, stopOrder, order.Plan, order.ID, reason)
	return db.fault(ctx, "stop the order", err)
}

const (
	selectOrder = `
SELECT run_id, state, coalesce(via, '') AS via
FROM regmend.repair_plans
WHERE id = $1 AND order_id = $2 AND stopped IS NULL`

	selectWork = `
SELECT i.number, i.project_id, i.name, i.full_path, i.state, i.inserted_id
FROM regmend.repair_items i
JOIN regmend.repair_plans p ON p.id = i.plan_id
WHERE p.id = $1 AND i.number BETWEEN $2 AND $3 AND ` + left + `
ORDER BY i.number`
)

// Work is what is left of some items of an order. It is ErrOrderOver if the order
// is void.
func (db *DB) Work(ctx context.Context, plan, id int64, span Span) (Order, []Item, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var is struct {
		Run   int64     `db:"run_id"`
		State PlanState `db:"state"`
		Via   Via       `db:"via"`
	}
	err := db.sql.GetContext(ctx, &is, selectOrder, plan, id)
	if errors.Is(err, sql.ErrNoRows) {
		return Order{}, nil, ErrOrderOver
	}
	if err != nil {
		return Order{}, nil, db.fault(ctx, "read the order", err)
	}
	order := Order{ID: id, Plan: plan, Run: is.Run, Action: ActionApply, Via: is.Via}
	if is.State == PlanUndoing {
		order.Action = ActionUndo
	}
	var rows []itemRow
	err = db.sql.SelectContext(ctx, &rows, selectWork, plan, span.From, span.To)
	return order, itemsOf(rows), db.fault(ctx, "read the items", err)
}

// EnableRepair turns the repair's feature flag and notes who did it.
func (db *DB) EnableRepair(ctx context.Context, on bool, who Who) (old string, err error) {
	value, action := "false", ActionDisable
	if on {
		value, action = "true", ActionEnable
	}
	d, err := definitionOf("repair_enabled")
	if err != nil {
		return "", err
	}
	err = db.transact(ctx, nil, func(tx *sqlx.Tx) (err error) {
		old, err = replaceSetting(ctx, tx, d, value, who.Actor+"@"+who.Host)
		if err == nil {
			_, err = audit(ctx, tx, who, action, 0, "repair_enabled: "+value+", was "+old)
		}
		return err
	})
	return old, db.fault(ctx, action+" repair", err)
}

const leaveItem = `
UPDATE regmend.repair_items i
SET state = $4, reason = $5, order_id = $2, changed_at = now(), asked_at = CASE WHEN $4 = 'kept' THEN i.asked_at END
FROM regmend.repair_plans p
WHERE p.id = $1 AND p.order_id = $2 AND i.plan_id = p.id AND i.number = $3
  AND (i.state = 'open' AND $4 IN ('skipped', 'failed') OR i.state = 'applied' AND $4 = 'kept')`

// Leave decides an item otherwise than by doing what was ordered: skipped, failed
// or kept, for that reason. What was decided already stays.
func (db *DB) Leave(ctx context.Context, order Order, number int, state ItemState, reason string) error {
	ctx, cancel := briefly(ctx)
	defer cancel()
	_, err := db.sql.ExecContext(ctx, leaveItem, order.Plan, order.ID, number, state, reason)
	return db.repairFault(ctx, "decide the item", err)
}

const noteVerified = `
UPDATE regmend.repair_items i
SET verified_at = CASE WHEN i.state = 'applied' THEN now() END, reason = nullif(v.reason, ''), rescan_after = $3
FROM regmend.repair_plans p, unnest($4::int[], $5::text[]) AS v (number, reason)
WHERE p.id = $1 AND p.order_id = $2 AND i.plan_id = p.id AND i.number = v.number
  AND i.state IN ('applied', 'undone')`

// Verified notes of items that were done that they were looked at again: an empty
// reason says that all is well. A scan with a number above after has seen it.
func (db *DB) Verified(ctx context.Context, order Order, after int64, numbers []int, reasons []string) error {
	ctx, cancel := briefly(ctx)
	defer cancel()
	_, err := db.sql.ExecContext(ctx, noteVerified, order.Plan, order.ID, after, pq.Array(numbers), pq.Array(reasons))
	return db.repairFault(ctx, "note what was verified", err)
}
