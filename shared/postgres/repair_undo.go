package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// reference is a column of another table that refers to container_repositories.
type reference struct {
	Table  string `db:"referrer"` // quoted, with its schema
	Column string `db:"col"`      // quoted
}

// Only what the role may read: of the rest the foreign keys themselves tell, when
// the row is deleted.
const selectReferences = `
SELECT format('%I.%I', n.nspname, t.relname) AS referrer, format('%I', a.attname) AS col
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (c.conkey)
WHERE c.contype = 'f' AND c.confrelid = to_regclass('public.container_repositories') AND c.conparentid = 0
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(t.oid, 'SELECT')
ORDER BY 1, 2`

// collateral counts the rows of other tables that this session has changed and not
// yet reported: what a foreign key takes along with a row shows here.
const collateral = `
SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(oid) + pg_stat_get_xact_tuples_updated(oid)), 0),
       coalesce(sum(pg_stat_get_xact_tuples_deleted(oid)) FILTER (WHERE own), 0)
FROM (SELECT to_regclass('public.container_repositories')::oid AS oid, true AS own
      UNION ALL
      SELECT relid, false FROM (SELECT DISTINCT conrelid AS relid FROM pg_constraint
                                WHERE contype = 'f' AND confrelid = to_regclass('public.container_repositories')) AS r) AS t`

// The whole row is compared where it is deleted: of a row that somebody changes at
// this moment, the changed one. %s is what refers to it.
const removeRow = `
DELETE FROM public.container_repositories c
WHERE c.id = $1 AND to_jsonb(c) = $2::jsonb%s`

const selectKeptReason = `
SELECT CASE WHEN c.id IS NULL THEN 'the row is gone: somebody else removed it'
            WHEN to_jsonb(c) <> $2::jsonb THEN 'the row was changed since: '
                || (SELECT string_agg(key, ', ' ORDER BY key) FROM jsonb_each(to_jsonb(c)) AS now
                    WHERE now.value IS DISTINCT FROM $2::jsonb -> now.key)
            ELSE '' END
FROM (SELECT $1::bigint AS id) AS wanted
LEFT JOIN public.container_repositories c ON c.id = wanted.id`

const (
	noteUndone = `
UPDATE regmend.repair_items
SET state = 'undone', reason = NULL, verified_at = NULL, rescan_after = NULL, order_id = $3, changed_at = now()
WHERE plan_id = $1 AND number = $2`

	selectDoubt = `SELECT coalesce(doubt, '') FROM regmend.repair_items WHERE plan_id = $1 AND number = $2`
)

// errTakesAlong says that a row that refers to the one to be removed would go with
// it, or be changed.
var errTakesAlong = errors.New("something began to refer to it at this moment")

// Remove deletes the row that the item inserted, if it is still what was inserted
// and nothing refers to it, and journals that in the same transaction; else the
// item is kept, with the reason. Errors are as those of Restore.
func (db *DB) Remove(ctx context.Context, run Run, order Order, number int) (Decided, error) {
	var d Decided
	err := db.onItem(ctx, "remove the row", run, order, number, ItemApplied,
		func(ctx context.Context, tx *sqlx.Tx, item lockedItem) (err error) {
			d, err = removeItem(ctx, tx, order, number, item)
			return err
		})
	// The transaction is undone, with all that would have gone along.
	if errors.Is(err, errTakesAlong) || refused(err) {
		d = Decided{State: ItemKept, Reason: "something refers to it", Row: d.Row}
		err = db.Leave(ctx, order, number, d.State, d.Reason)
	}
	return d, err
}

func removeItem(ctx context.Context, tx *sqlx.Tx, order Order, number int, item lockedItem) (d Decided, err error) {
	d = Decided{State: ItemKept, Row: item.InsertedID.Int64}
	if err := tx.GetContext(ctx, &d.Reason, selectDoubt, order.Plan, number); err != nil {
		return d, err
	}
	removed := false
	if d.Reason == "" {
		if removed, d.Reason, err = removeOwn(ctx, tx, item); err != nil {
			return d, err
		}
	}
	if removed {
		d.State = ItemUndone
		_, err = tx.ExecContext(ctx, noteUndone, order.Plan, number, order.ID)
		return d, err
	}
	_, err = tx.ExecContext(ctx, leaveItem, order.Plan, order.ID, number, d.State, d.Reason)
	return d, err
}

// removeOwn removes the row if it may go, and else says why not.
func removeOwn(ctx context.Context, tx *sqlx.Tx, item lockedItem) (removed bool, reason string, err error) {
	if _, err := tx.ExecContext(ctx, lockTable); err != nil {
		return false, "", err
	}
	if err := sameTable(ctx, tx); err != nil {
		return false, "", err
	}
	var refers []reference
	if err := tx.SelectContext(ctx, &refers, selectReferences); err != nil {
		return false, "", err
	}
	before, _, err := changes(ctx, tx)
	if err != nil {
		return false, "", err
	}
	deleted, err := tx.ExecContext(ctx, fmt.Sprintf(removeRow, unreferred(refers)), item.InsertedID, item.Inserted)
	if err != nil {
		return false, "", err
	}
	n, err := deleted.RowsAffected()
	if err != nil {
		return false, "", err
	}
	if n == 0 {
		reason, err = keptReason(ctx, tx, refers, item)
		return false, reason, err
	}
	after, own, err := changes(ctx, tx)
	switch {
	case err != nil:
		return false, "", err
	case own == 0:
		return false, "", &CannotRepairError{Reason: "track_counts is off, so whether other rows would go along cannot be seen"}
	case after != before+1:
		return false, "", errTakesAlong
	}
	return true, "", nil
}

func changes(ctx context.Context, tx *sqlx.Tx) (all, own int64, err error) {
	err = tx.QueryRowxContext(ctx, collateral).Scan(&all, &own)
	return all, own, err
}

// unreferred is the condition that nothing refers to c.
func unreferred(refers []reference) string {
	var b strings.Builder
	for _, r := range refers {
		fmt.Fprintf(&b, "\n  AND NOT EXISTS (SELECT FROM %s AS x WHERE x.%s = c.id)", r.Table, r.Column)
	}
	return b.String()
}

// keptReason is why the row was not deleted.
func keptReason(ctx context.Context, tx *sqlx.Tx, refers []reference, item lockedItem) (reason string, err error) {
	if err := tx.GetContext(ctx, &reason, selectKeptReason, item.InsertedID, item.Inserted); err != nil || reason != "" {
		return reason, err
	}
	for _, r := range refers {
		var found bool
		err := tx.GetContext(ctx, &found, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s AS x WHERE x.%s = $1)`, r.Table, r.Column), item.InsertedID)
		if err != nil {
			return "", err
		}
		if found {
			return r.Table + " refers to it", nil
		}
	}
	return "somebody changed it at this moment", nil
}

// selectThere is what became of rows since they were inserted.
const selectThere = `
SELECT i.number, coalesce(r.path, '') = i.full_path AS same_path, c.id IS NOT NULL AS has_row
FROM regmend.repair_items i
LEFT JOIN LATERAL (SELECT id FROM public.projects WHERE id = i.project_id LIMIT 1) AS p ON true
` + routed + `
LEFT JOIN public.container_repositories c ON c.id = i.inserted_id AND c.project_id = i.project_id AND c.name = i.name
WHERE i.plan_id = $1 AND i.number = ANY ($2)`

// There is what became of an item since it was applied.
type There struct {
	Number   int  `db:"number"`
	SamePath bool `db:"same_path"` // its project's full path is the one planned
	HasRow   bool `db:"has_row"`
}

// There looks at the rows of items that were applied.
func (db *DB) There(ctx context.Context, order Order, numbers []int) ([]There, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var found []There
	err := db.sql.SelectContext(ctx, &found, selectThere, order.Plan, pq.Array(numbers))
	return found, db.fault(ctx, "look for the rows", err)
}
