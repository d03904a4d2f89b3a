package postgres

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"
)

// Walked is one step of a walk over all projects.
type Walked struct {
	IDs  []int64 // projects to be scanned, ascending
	Next int64   // walk on from here
	End  bool    // the end of the table was reached
}

// inScope: the route r is of one of the full paths in $6 or below one. The
// comparison is literal: no wildcards.
const inScope = `EXISTS (SELECT FROM unnest($6::text[]) AS scope (path)
	WHERE lower(r.path) = lower(scope.path) OR starts_with(lower(r.path), lower(scope.path) || '/'))`

// Every table is read over the same range of keys, so that a step costs the
// same wherever in the table it is and however full the results are. Routes
// are asked for one by one, with LIMIT: of EXISTS the planner may make a hash
// of the whole table.
const walkWindow = `
WITH looked AS MATERIALIZED (
    SELECT id, pending_delete FROM public.projects WHERE id > $3 ORDER BY id LIMIT $4
), span AS MATERIALIZED (
    SELECT max(id) AS last, count(*) AS looked FROM looked
)
SELECT (SELECT last FROM span), (SELECT looked FROM span),
       ARRAY(SELECT looked.id
             FROM looked
             LEFT JOIN regmend.data_repair_details d
                    ON d.project_id = looked.id AND d.project_id > $3 AND d.project_id <= (SELECT last FROM span)
             LEFT JOIN regmend.looks l
                    ON l.project_id = looked.id AND l.project_id > $3 AND l.project_id <= (SELECT last FROM span)
             CROSS JOIN (SELECT $7::bigint * interval '1 microsecond' AS confirm_after) AS c
             WHERE looked.pending_delete IS NOT TRUE AND ` + wanted + `
               AND (cardinality($6::text[]) = 0 OR coalesce((
                    SELECT ` + inScope + ` FROM public.routes r
                    WHERE r.source_type = 'Project' AND r.source_id = looked.id
                    LIMIT 1), false))
             ORDER BY looked.id
             LIMIT $5)`

// Walk looks at up to window projects with an ID above from and returns at
// most limit of those that are to be scanned for run: eligible, within scope
// (full paths of groups or projects in any case; empty means everything), and
// without a trustworthy result, with a failure to be tried again, or with a first
// look that was written confirmAfter ago.
func (db *DB) Walk(ctx context.Context, run Run, confirmAfter time.Duration, scope []string, from int64, window, limit int) (Walked, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var last sql.NullInt64
	var looked int
	var ids pq.Int64Array
	if scope == nil {
		scope = []string{}
	}
	err := db.sql.QueryRowxContext(ctx, walkWindow, run.ID, run.Scan, from, window, limit, pq.Array(scope), confirmAfter.Microseconds()).
		Scan(&last, &looked, &ids)
	if err != nil {
		return Walked{}, db.fault(ctx, "walk the projects", err)
	}
	walked := Walked{IDs: ids, Next: max(from, last.Int64), End: looked < window}
	if len(ids) == limit && ids[limit-1] < walked.Next {
		walked.Next, walked.End = ids[limit-1], false
	}
	return walked, nil
}

// A look of another run, or one that a completed scan came after in another
// transaction, counts for nothing either.
const deleteLeftLooks = `
DELETE FROM regmend.looks l
WHERE l.project_id > $1 AND l.project_id <= $2
  AND (l.run_id < $3
       OR NOT EXISTS (SELECT FROM public.projects p WHERE p.id = l.project_id)
       OR EXISTS (SELECT FROM regmend.data_repair_details d
                  WHERE d.project_id = l.project_id AND d.status = 'completed' AND d.scan_number >= l.scan_number))`

// DropLooks deletes looks in (from, to] that count for nothing any more in run:
// they are of deleted projects, of another run, or older than a completed scan.
func (db *DB) DropLooks(ctx context.Context, run Run, from, to int64) error {
	ctx, cancel := briefly(ctx)
	defer cancel()
	_, err := db.sql.ExecContext(ctx, deleteLeftLooks, from, to, run.ID)
	return db.fault(ctx, "drop old looks", err)
}

const deleteOrphans = `
DELETE FROM regmend.data_repair_details d
WHERE d.project_id > $1 AND d.project_id <= $2
  AND NOT EXISTS (SELECT FROM public.projects p WHERE p.id = d.project_id)`

// DropOrphans deletes results in (from, to] whose project is gone, and says
// how many. With the foreign key there are none.
func (db *DB) DropOrphans(ctx context.Context, from, to int64) (int64, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	result, err := db.sql.ExecContext(ctx, deleteOrphans, from, to)
	if err != nil {
		return 0, db.fault(ctx, "drop orphans", err)
	}
	return result.RowsAffected()
}
