package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// Item is a repository of a plan.
type Item struct {
	Number  int
	Project gitlab.Project // its full path is that of the plan
	Name    string
	Scan    int64 // number of the scan that found it missing
	// Snapshot is the number of the listing that names it, 0 if it was not kept.
	Snapshot int
	// CreatedAt is the repository's, as the registry says; zero: not known.
	CreatedAt time.Time
	Refusals  []gitlab.Refusal // when it was planned, accepted ones too
	State     ItemState
	Reason    string
	Row       int64 // inserted; 0: none
	Doubt     string
	ChangedAt time.Time
}

// Path is the repository's in the registry.
func (i Item) Path() string { return i.Project.RepositoryPath(i.Name) }

type itemRow struct {
	Number    int            `db:"number"`
	Project   int64          `db:"project_id"`
	Name      string         `db:"name"`
	FullPath  string         `db:"full_path"`
	Scan      int64          `db:"scan_number"`
	Snapshot  sql.NullInt64  `db:"snapshot"`
	CreatedAt sql.NullTime   `db:"repository_created_at"`
	Refusals  pq.StringArray `db:"refusals"`
	State     ItemState      `db:"state"`
	Reason    sql.NullString `db:"reason"`
	Row       sql.NullInt64  `db:"inserted_id"`
	Doubt     sql.NullString `db:"doubt"`
	ChangedAt sql.NullTime   `db:"changed_at"`
}

func (r itemRow) item() Item {
	return Item{
		Number: r.Number, Project: gitlab.Project{ID: r.Project, FullPath: r.FullPath}, Name: r.Name,
		Scan: r.Scan, Snapshot: int(r.Snapshot.Int64), CreatedAt: utc(r.CreatedAt), Refusals: refusalsOf(r.Refusals),
		State: r.State, Reason: r.Reason.String, Row: r.Row.Int64, Doubt: r.Doubt.String, ChangedAt: utc(r.ChangedAt),
	}
}

func itemsOf(rows []itemRow) []Item {
	items := make([]Item, len(rows))
	for i, row := range rows {
		items[i] = row.item()
	}
	return items
}

const selectItems = `
SELECT number, project_id, name, full_path, scan_number, snapshot, repository_created_at, refusals, state, reason,
       inserted_id, doubt, changed_at
FROM regmend.repair_items
WHERE plan_id = $1 AND number > $2
ORDER BY number
LIMIT 1000`

// Items calls visit with each item of the plan, in order, and ends with its first
// error.
func (db *DB) Items(ctx context.Context, plan int64, visit func(Item) error) error {
	for from := 0; ; {
		var rows []itemRow
		if err := db.sql.SelectContext(ctx, &rows, selectItems, plan, from); err != nil {
			return db.fault(ctx, "read the plan's items", err)
		}
		if len(rows) == 0 {
			return nil
		}
		for _, row := range rows {
			if err := visit(row.item()); err != nil {
				return err
			}
		}
		from = rows[len(rows)-1].Number
	}
}

// restoreByHand is what Restore does, without its rules, for an operator to run.
const restoreByHand = `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
SELECT %d, %s, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
WHERE EXISTS (SELECT FROM public.routes WHERE source_type = 'Project' AND source_id = %d AND path = %s)
ON CONFLICT (project_id, name) DO NOTHING;`

// SQL is the statement that inserts the item's row, to be run by hand. What it
// inserts no undo knows of.
func (i Item) SQL() string {
	return fmt.Sprintf(restoreByHand, i.Project.ID, literal(i.Name), i.Project.ID, literal(i.Project.FullPath))
}

// literal quotes text for a statement that is shown.
func literal(text string) string { return strings.TrimLeft(pq.QuoteLiteral(text), " ") }

// AuditEntry is one entry of the audit.
type AuditEntry struct {
	ID     int64     `db:"id"`
	At     time.Time `db:"at"`
	Actor  string    `db:"actor"`
	Host   string    `db:"host"`
	Role   string    `db:"role"`
	Action string    `db:"action"`
	Plan   int64     `db:"plan_id"` // 0: of none
	Reason string    `db:"reason"`
	What   string    `db:"what"`
}

const selectAudit = `
SELECT id, at, actor, host, role, action, coalesce(plan_id, 0) AS plan_id, reason, what
FROM regmend.repair_audit
WHERE $1::bigint IN (0, plan_id)
ORDER BY id DESC
LIMIT $2`

// RepairAudit returns the last entries, the newest first, of one plan or (0) of all.
func (db *DB) RepairAudit(ctx context.Context, plan int64, limit int) ([]AuditEntry, error) {
	entries := []AuditEntry{}
	err := db.sql.SelectContext(ctx, &entries, selectAudit, plan, limit)
	return entries, db.fault(ctx, "read the repair's audit", err)
}
