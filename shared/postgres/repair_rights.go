package postgres

import (
	"context"
	"fmt"
	"strings"
)

// planReads are the columns of GitLab's that only a repair reads.
const planReads = `(VALUES
    ('projects', 'created_at'), ('projects', 'marked_for_deletion_at'),
    ('project_features', 'project_id'), ('project_features', 'container_registry_access_level'),
    ('container_expiration_policies', 'project_id'), ('container_expiration_policies', 'enabled'),
    ('redirect_routes', 'source_id'), ('redirect_routes', 'source_type'), ('redirect_routes', 'path')
) AS needed (name, col)`

// RepairRights is what the role may do of a repair.
type RepairRights struct {
	Role string `db:"role"`
	// LacksColumns are tables and columns that are not there, LacksSelect tables
	// that the role may not read: with any, nothing can be planned.
	LacksColumns []string `db:"-"`
	LacksSelect  []string `db:"-"`
	// Apply needs the first two, undo the third.
	MayInsert bool `db:"may_insert"`
	MayUseIDs bool `db:"may_use_ids"`
	MayDelete bool `db:"may_delete"`
}

const (
	selectRepairColumns = `
SELECT needed.name || '.' || needed.col
FROM ` + planReads + `
WHERE NOT EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = to_regclass('public.' || needed.name) AND a.attname = needed.col
                    AND a.attnum > 0 AND NOT a.attisdropped)`

	selectRepairSelect = `
SELECT DISTINCT 'public.' || needed.name
FROM ` + planReads + `
WHERE NOT has_table_privilege(to_regclass('public.' || needed.name), 'SELECT')
ORDER BY 1`

	selectRepairRights = `
SELECT current_user AS role,
       coalesce(has_table_privilege(c.oid, 'INSERT'), false) AS may_insert,
       coalesce(has_table_privilege(c.oid, 'DELETE'), false) AS may_delete,
       coalesce(has_sequence_privilege(pg_get_serial_sequence(c.oid::regclass::text, 'id'), 'USAGE'), false) AS may_use_ids
FROM (SELECT to_regclass('public.container_repositories')::oid AS oid) AS c`
)

// RepairRights tells what the role of db may do.
func (db *DB) RepairRights(ctx context.Context) (RepairRights, error) {
	var r RepairRights
	err := db.sql.GetContext(ctx, &r, selectRepairRights)
	if err == nil {
		err = db.sql.SelectContext(ctx, &r.LacksColumns, selectRepairColumns)
	}
	if err == nil {
		err = db.sql.SelectContext(ctx, &r.LacksSelect, selectRepairSelect)
	}
	return r, db.fault(ctx, "look at the rights of a repair", err)
}

// mayPlan is nil if what speaks against a repair can be read.
func (db *DB) mayPlan(ctx context.Context) error {
	r, err := db.RepairRights(ctx)
	switch {
	case err != nil:
		return err
	case len(r.LacksColumns) > 0:
		return &CannotRepairError{Reason: fmt.Sprintf("GitLab's tables lack %s: use a regmend made for this version of GitLab",
			strings.Join(r.LacksColumns, ", "))}
	case len(r.LacksSelect) > 0:
		return &CannotRepairError{Reason: fmt.Sprintf("role %s may not read what could speak against a repair: GRANT SELECT ON %s TO %s (schema/roles/runtime.sql)",
			r.Role, strings.Join(r.LacksSelect, ", "), r.Role)}
	}
	return nil
}
