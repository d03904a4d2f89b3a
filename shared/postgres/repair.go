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

// PlanState says what was ordered last for a plan.
type PlanState string

// A plan is made, applied, and perhaps undone; then it is not applied again.
const (
	PlanPlanned  PlanState = "planned"
	PlanApplying PlanState = "applying"
	PlanUndoing  PlanState = "undoing"
)

// ItemState says what became of an item.
type ItemState string

// An item is refused when it is planned, or open until it is decided.
const (
	ItemRefused ItemState = "refused"
	ItemOpen    ItemState = "open"
	ItemApplied ItemState = "applied" // its row was inserted
	ItemSkipped ItemState = "skipped" // it need not or must not be restored any more
	ItemFailed  ItemState = "failed"  // the next apply tries it again
	ItemUndone  ItemState = "undone"  // its row was removed
	ItemKept    ItemState = "kept"    // undo left its row alone
)

// Via is who makes the row.
type Via string

// The ways there are.
const (
	ViaSQL    Via = "sql"
	ViaGitLab Via = "gitlab"
)

// Actions that the audit knows.
const (
	ActionPlan    = "plan"
	ActionApply   = "apply"
	ActionUndo    = "undo"
	ActionEnable  = "enable"
	ActionDisable = "disable"
)

var (
	// ErrOrderOver says that another order was given for the plan meanwhile, or
	// that this one was stopped.
	ErrOrderOver = errors.New("the order is over: another one was given, or it was stopped")

	// ErrRepairDisabled says that the feature flag is off.
	ErrRepairDisabled = errors.New("repair is disabled")

	// ErrBusyTable says that somebody holds locks that this would have to wait for.
	ErrBusyTable = errors.New("somebody else has locked what is to be changed")
)

// CannotRepairError is why nothing of an order can be done here.
type CannotRepairError struct{ Reason string }

func (e *CannotRepairError) Error() string { return e.Reason }

// Who does something, and why.
type Who struct{ Actor, Host, Reason string }

// Plan is a plan of a repair with what became of its items.
type Plan struct {
	ID        int64
	Run       int64
	CreatedAt time.Time
	CreatedBy string
	Scope     string
	Accepted  []gitlab.Refusal
	State     PlanState
	Via       Via
	Order     int64  // the last one, 0 if there was none
	Stopped   string // why it cannot go on
	Counts    RepairCounts
}

// RepairCounts counts a plan's items, each once.
type RepairCounts struct {
	Refused, Open, Applied, Skipped, Failed, Undone, Kept int
	// Unverified counts those applied or undone that were not looked at again yet,
	// Unscanned the projects of what was applied or undone that no scan has seen
	// since.
	Unverified, Unscanned int
}

// Planned is how many the plan means to restore.
func (c RepairCounts) Planned() int {
	return c.Open + c.Applied + c.Skipped + c.Failed + c.Undone + c.Kept
}

// The counts and the plan come of one statement, so that they fit together.
const selectPlans = `
SELECT p.id, p.run_id, p.created_at, p.created_by, p.scope, p.accepted, p.state,
       coalesce(p.via, '') AS via, coalesce(p.order_id, 0) AS order_id, coalesce(p.stopped, '') AS stopped,
       count(*) FILTER (WHERE i.state = 'refused') AS refused,
       count(*) FILTER (WHERE i.state = 'open') AS open,
       count(*) FILTER (WHERE i.state = 'applied') AS applied,
       count(*) FILTER (WHERE i.state = 'skipped') AS skipped,
       count(*) FILTER (WHERE i.state = 'failed') AS failed,
       count(*) FILTER (WHERE i.state = 'undone') AS undone,
       count(*) FILTER (WHERE i.state = 'kept') AS kept,
       count(*) FILTER (WHERE i.state IN ('applied', 'undone') AND i.rescan_after IS NULL) AS unverified,
       count(DISTINCT i.project_id) FILTER (WHERE ` + unscanned + `) AS unscanned
FROM regmend.repair_plans p
LEFT JOIN regmend.repair_items i ON i.plan_id = p.id
WHERE $1::bigint IN (0, p.id)
GROUP BY p.id
ORDER BY p.id DESC
LIMIT $2`

// unscanned: no scan has seen yet what was done to the item i, though one could.
const unscanned = `i.rescan_after IS NOT NULL
	AND EXISTS (SELECT FROM public.projects t WHERE t.id = i.project_id AND t.pending_delete IS NOT TRUE)
	AND NOT EXISTS (SELECT FROM regmend.data_repair_details d WHERE d.project_id = i.project_id
	                AND greatest(d.scan_number, d.failure_scan_number) > i.rescan_after)`

type planRow struct {
	ID         int64          `db:"id"`
	Run        int64          `db:"run_id"`
	CreatedAt  time.Time      `db:"created_at"`
	CreatedBy  string         `db:"created_by"`
	Scope      string         `db:"scope"`
	Accepted   pq.StringArray `db:"accepted"`
	State      PlanState      `db:"state"`
	Via        Via            `db:"via"`
	Order      int64          `db:"order_id"`
	Stopped    string         `db:"stopped"`
	Refused    int            `db:"refused"`
	Open       int            `db:"open"`
	Applied    int            `db:"applied"`
	Skipped    int            `db:"skipped"`
	Failed     int            `db:"failed"`
	Undone     int            `db:"undone"`
	Kept       int            `db:"kept"`
	Unverified int            `db:"unverified"`
	Unscanned  int            `db:"unscanned"`
}

func (r planRow) plan() Plan {
	return Plan{
		ID: r.ID, Run: r.Run, CreatedAt: r.CreatedAt.UTC(), CreatedBy: r.CreatedBy, Scope: r.Scope,
		Accepted: refusalsOf(r.Accepted), State: r.State, Via: r.Via, Order: r.Order, Stopped: r.Stopped,
		Counts: RepairCounts{
			Refused: r.Refused, Open: r.Open, Applied: r.Applied, Skipped: r.Skipped, Failed: r.Failed,
			Undone: r.Undone, Kept: r.Kept, Unverified: r.Unverified, Unscanned: r.Unscanned,
		},
	}
}

// Plan returns the plan of that number; gitlab.ErrNotFound if there is none.
func (db *DB) Plan(ctx context.Context, id int64) (Plan, error) {
	var row planRow
	err := db.sql.GetContext(ctx, &row, selectPlans, id, 1)
	if errors.Is(err, sql.ErrNoRows) {
		return Plan{}, noPlan(id)
	}
	return row.plan(), db.fault(ctx, "read the plan", err)
}

func noPlan(id int64) error { return fmt.Errorf("repair plan %d: %w", id, gitlab.ErrNotFound) }

// Plans returns the newest plans, the last one first; none is an empty slice.
func (db *DB) Plans(ctx context.Context, limit int) ([]Plan, error) {
	var rows []planRow
	if err := db.sql.SelectContext(ctx, &rows, selectPlans, 0, limit); err != nil {
		return nil, db.fault(ctx, "read the plans", err)
	}
	plans := make([]Plan, len(rows))
	for i, row := range rows {
		plans[i] = row.plan()
	}
	return plans, nil
}

func refusalsOf(texts []string) []gitlab.Refusal {
	refusals := make([]gitlab.Refusal, len(texts))
	for i, text := range texts {
		refusals[i] = gitlab.Refusal(text)
	}
	return refusals
}

func textsOf(refusals []gitlab.Refusal) pq.StringArray {
	texts := make(pq.StringArray, len(refusals))
	for i, r := range refusals {
		texts[i] = string(r)
	}
	return texts
}

const insertAudit = `
INSERT INTO regmend.repair_audit (actor, host, action, plan_id, reason, what)
VALUES ($1, $2, $3, nullif($4::bigint, 0), $5, $6)
RETURNING id`

// audit notes what is done in the transaction that does it.
func audit(ctx context.Context, tx *sqlx.Tx, who Who, action string, plan int64, what string) (id int64, err error) {
	err = tx.GetContext(ctx, &id, insertAudit, who.Actor, who.Host, action, plan, who.Reason, what)
	return id, err
}

// lacking turns a lack of rights into one line that says which.
func lacking(err error) error {
	if denied := pq.As(err, pqerror.InsufficientPrivilege); denied != nil {
		return &CannotRepairError{Reason: denied.Message + ": grant it with schema/roles/repair.sql (see regmend doctor)"}
	}
	return err
}

// repairFault is fault with what an order ends or waits for.
func (db *DB) repairFault(ctx context.Context, doing string, err error) error {
	if lockNotAvailable(err) {
		return fmt.Errorf("%s: %w", doing, ErrBusyTable)
	}
	return db.fault(ctx, doing, lacking(err))
}
