package postgres

import (
	"context"
	"database/sql"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// insertFresh inserts completed scans of projects that have no row yet, which
// most of a run's results are. For them it does what upsertVerdicts does, at half
// the price; it leaves the others alone. Rows are taken in the same order.
const insertFresh = `
WITH fresh AS (
    INSERT INTO regmend.data_repair_details AS d (
        project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed, snapshot)
    SELECT found.project_id, missing_count, 'completed', now(), $1, scan_number, full_path, method, pages, listed, snapshot
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::integer[], $6::text[], $7::integer[], $8::integer[], $9::integer[])
        AS found (project_id, scan_number, full_path, missing_count, method, pages, listed, snapshot)
    ` + alive + `
    ` + routed + `
    WHERE r.path = found.full_path
    ORDER BY found.project_id
    ON CONFLICT (project_id) DO NOTHING
    RETURNING d.project_id
)
SELECT coalesce(array_agg(project_id), '{}') FROM fresh`

// insert writes what insertFresh can write of verdicts. It returns how many these
// were, and the others.
func insert(ctx context.Context, tx *sqlx.Tx, run Run, verdicts []verdict) (inserted int, others []verdict, err error) {
	var c evidence
	for _, v := range verdicts {
		if v.fresh() {
			c.add(*v.completed)
		}
	}
	var ids pq.Int64Array
	err = tx.QueryRowxContext(ctx, insertFresh, run.ID, pq.Array(c.ids), pq.Array(c.scans), pq.Array(c.paths),
		pq.Array(c.missing), pq.Array(c.methods), pq.Array(c.pages), pq.Array(c.listed), pq.Array(c.snapshots)).Scan(&ids)
	if err != nil || len(ids) == 0 {
		return 0, verdicts, err
	}
	wrote := make(map[int64]bool, len(ids))
	for _, id := range ids {
		wrote[id] = true
	}
	var missing missingRows
	var listings []wholeListing
	for _, v := range verdicts {
		if !wrote[v.project.ID] {
			others = append(others, v)
			continue
		}
		missing.add(v)
		listings = v.addListing(listings, firstVersion(v))
	}
	if err := missing.insert(ctx, tx); err != nil {
		return 0, nil, err
	}
	if err := endLooks(ctx, tx, ids); err != nil {
		return 0, nil, err
	}
	return len(ids), others, keepSnapshots(ctx, tx, run, listings, listingsOf(others))
}

// fresh tells whether v is a completed scan, nothing contradicted it, nothing was
// too young for it, and nothing came after it.
func (v verdict) fresh() bool {
	return v.completed != nil && v.failed == nil && v.completed.Contradiction == "" && len(v.completed.Young) == 0
}

// evidence is that of completed scans, column by column.
type evidence struct {
	ids, scans, missing, pages, listed []int64
	paths, methods                     []string
	snapshots                          []sql.NullInt64
}

func (c *evidence) add(r gitlab.Result) {
	c.ids = append(c.ids, r.Project.ID)
	c.scans = append(c.scans, r.Scan)
	c.paths = append(c.paths, r.Project.FullPath)
	c.missing = append(c.missing, int64(len(r.Missing)))
	c.methods = append(c.methods, r.Method)
	c.pages = append(c.pages, int64(r.Pages))
	c.listed = append(c.listed, int64(r.Listed))
	c.snapshots = append(c.snapshots, firstVersion(verdict{completed: &r}))
}
