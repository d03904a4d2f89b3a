package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// zeros are what is to be said of projects without any candidate, unless a scan
	// saw something missing and a second one is to look.
	zeros = `
    SELECT k.project_id, 'completed'::text AS status, $3::bigint AS scan_number, k.full_path, 0 AS missing_count,
           '` + methodSweep + `'::text AS method, $4::integer AS pages, k.listed, NULL::text AS contradiction,
           NULL::timestamptz AS look_again_at, NULL::bigint AS failure_scan_number, NULL::text AS error, NULL::integer AS snapshot
    FROM regmend.sweep_projects k
    JOIN public.projects p
      ON p.id = k.project_id AND p.id >= $5 AND p.id <= $6 AND p.pending_delete IS NOT TRUE
    JOIN public.routes r
      ON r.source_id = k.project_id AND r.source_id >= $5 AND r.source_id <= $6 AND r.source_type = 'Project'
     AND r.path = k.full_path AND r.xmin = k.route
    LEFT JOIN regmend.data_repair_details d
      ON d.project_id = k.project_id AND d.project_id >= $5 AND d.project_id <= $6
    WHERE k.scan_number = $3 AND k.project_id >= $5 AND k.project_id <= $6
      AND k.project_id NOT IN (SELECT l.project_id FROM regmend.looks l
                               WHERE l.run_id = $1 AND l.project_id >= $5 AND l.project_id <= $6)
      AND NOT coalesce(d.status = 'completed' AND ` + trusted + `, false)
      AND k.project_id NOT IN (SELECT c.project_id FROM regmend.sweep_candidates c
                               WHERE c.scan_number = $3 AND c.project_id >= $5 AND c.project_id <= $6)`

	// insertZeros does for projects that have no row yet, which mostly are all, what
	// mergeZeros does, at half the price. Ascending, as in upsertVerdicts.
	insertZeros = `
WITH same AS MATERIALIZED (` + zeros + `
), written AS (
    INSERT INTO regmend.data_repair_details (
        project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed)
    SELECT project_id, missing_count, status, now(), $1, scan_number, full_path, method, pages, listed
    FROM same
    ORDER BY project_id
    ON CONFLICT (project_id) DO NOTHING
    RETURNING project_id
)
SELECT (SELECT count(*) FROM same) AS found, (SELECT count(*) FROM written) AS written`

	mergeZeros = `
WITH same AS (` + zeros + `
)` + mergeSame + `
SELECT ARRAY(SELECT project_id FROM written)`

	deleteMissingWithin = `
WITH young AS (
    DELETE FROM regmend.young_repositories
    WHERE project_id >= $1 AND project_id <= $2 AND project_id = ANY ($3)
)
DELETE FROM regmend.missing_repositories
WHERE project_id >= $1 AND project_id <= $2 AND project_id = ANY ($3)`
)

// proveZeros writes the results of those of ids, all that were kept between its
// first and its last, that have no candidate, and moves s on behind them. Where
// there are rows already, they are merged in a transaction of their own: in one
// with the insertion they would be locked out of their order.
func (db *DB) proveZeros(ctx context.Context, s Sweep, ids []int64) (Sweep, error) {
	next, end := s, ids[len(ids)-1]
	write := func(part []int64, way wayOfWriting) (left bool, err error) {
		next, err = db.step(ctx, "write proven results", s, func(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep) (err error) {
			if _, err := tx.ExecContext(ctx, noNestedLoops); err != nil {
				return err
			}
			first, last := part[0], part[len(part)-1]
			if left, err = way(ctx, tx, run, s, first, last); err == nil && !left && last == end {
				s.Cursor = end
			}
			return err
		})
		return left, err
	}
	err := inHalves(ids, func(part []int64) error {
		left, err := write(part, insertProven)
		if err == nil && left {
			_, err = write(part, mergeProven)
		}
		return err
	}, leavePending[int64])
	if err != nil || next.Cursor == end {
		return next, err
	}
	return db.step(ctx, "go on judging", s, func(_ context.Context, _ *sqlx.Tx, _ Run, s *Sweep) error {
		s.Cursor = end
		return nil
	})
}

// wayOfWriting writes zeros of the projects from first to last, and tells whether
// some are left to another way.
type wayOfWriting func(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep, first, last int64) (left bool, err error)

func insertProven(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep, first, last int64) (left bool, err error) {
	var zeros struct{ Found, Written int64 }
	err = tx.GetContext(ctx, &zeros, insertZeros, run.ID, run.Scan, s.Scan, s.Pages, first, last)
	s.Proven += zeros.Written
	return zeros.Written < zeros.Found, err
}

func mergeProven(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep, first, last int64) (left bool, err error) {
	var merged pq.Int64Array
	if err := tx.GetContext(ctx, &merged, mergeZeros, run.ID, run.Scan, s.Scan, s.Pages, first, last); err != nil {
		return false, err
	}
	s.Proven += int64(len(merged))
	_, err = tx.ExecContext(ctx, deleteMissingWithin, first, last, merged)
	return false, err
}
