package postgres

import (
	"context"
	"database/sql"
	"time"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// upsertVerdicts merges verdicts into the rows that stand. Both sides of the
// merge hold at most one completed scan and one failure after it; of each kind
// the one with the higher scan number stays, and a failure that the completed
// scan came after goes. That is why the order of writing does not matter.
//
// Rows are taken in the order of their projects, so two flushes that meet wait
// for each other and do not deadlock. A row that would not change is locked
// but not written, and so not returned.
//
// A listing that is not empty keeps the version that the row had, or the first:
// mostly it is that one.
//
// A project that is renamed while this runs is written under its old path, as if
// it had been renamed right afterwards.
const upsertVerdicts = `
WITH found AS (
    SELECT project_id, status, scan_number, full_path, missing_count, method, pages, listed, contradiction, look_again_at,
           failure_scan_number, error, snapshot
    FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::integer[],
                $8::text[], $9::integer[], $10::integer[], $11::text[], $12::timestamptz[], $13::bigint[], $14::text[], $15::integer[])
        AS found (project_id, status, scan_number, full_path, missing_count,
                  method, pages, listed, contradiction, look_again_at, failure_scan_number, error, snapshot)
), same AS (
    SELECT found.*
    FROM found
    ` + alive + `
    ` + routed + `
    WHERE coalesce(r.path, '') = found.full_path
)` + mergeSame + `
SELECT same.project_id, written.status, written.scan_number, written.snapshot
FROM same
LEFT JOIN written ON written.project_id = same.project_id`

// mergeSame merges into the rows that stand those of the query same, which are
// of projects that are still what they were; what it wrote is written.
const mergeSame = `, written AS (
    INSERT INTO regmend.data_repair_details AS d (
        project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed,
        contradiction, look_again_at, failure_scan_number, error, snapshot, attempts, next_attempt_at)
    SELECT project_id, missing_count, status, now(), $1, scan_number, full_path, method, pages, listed,
           contradiction, look_again_at, failure_scan_number, error, snapshot, tries,
           CASE WHEN tries > 0 THEN now() + ` + backoff + ` END
    FROM same
    CROSS JOIN LATERAL (SELECT CASE WHEN failure_scan_number IS NULL THEN 0 ELSE 1 END AS tries) AS first
    ORDER BY project_id
    ON CONFLICT (project_id) DO UPDATE SET (
        missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed,
        contradiction, look_again_at, failure_scan_number, error, snapshot, attempts, next_attempt_at
    ) = (
        SELECT CASE WHEN old_base THEN d.missing_count ELSE excluded.missing_count END,
               CASE WHEN old_base THEN d.status ELSE excluded.status END,
               now(), $1,
               CASE WHEN old_base THEN d.scan_number ELSE excluded.scan_number END,
               CASE WHEN old_base THEN d.full_path ELSE excluded.full_path END,
               CASE WHEN old_base THEN d.method ELSE excluded.method END,
               CASE WHEN old_base THEN d.pages ELSE excluded.pages END,
               CASE WHEN old_base THEN d.listed ELSE excluded.listed END,
               CASE WHEN old_base THEN d.contradiction ELSE excluded.contradiction END,
               CASE WHEN old_base THEN d.look_again_at ELSE excluded.look_again_at END,
               CASE WHEN NOT failing THEN NULL WHEN old_failure THEN d.failure_scan_number ELSE excluded.failure_scan_number END,
               CASE WHEN NOT failing THEN NULL WHEN old_failure THEN d.error ELSE excluded.error END,
               CASE WHEN old_base THEN d.snapshot WHEN excluded.snapshot > 0 THEN coalesce(d.snapshot, excluded.snapshot) END,
               CASE WHEN NOT failing THEN 0 WHEN old_failure THEN d.attempts ELSE tries END,
               CASE WHEN NOT failing THEN NULL WHEN old_failure THEN d.next_attempt_at ELSE now() + ` + backoff + ` END
        FROM (SELECT ` + trusted + ` AS stands) AS a
        CROSS JOIN LATERAL (
            SELECT stands AND d.status = 'completed'
                   AND NOT (excluded.status = 'completed' AND excluded.scan_number > d.scan_number) AS old_completed,
                   coalesce(stands AND d.failure_scan_number >= coalesce(excluded.failure_scan_number, 0), false) AS old_failure
        ) AS b
        CROSS JOIN LATERAL (
            SELECT CASE WHEN old_completed THEN d.scan_number
                        WHEN excluded.status = 'completed' THEN excluded.scan_number ELSE 0 END AS completed_scan,
                   CASE WHEN old_failure THEN d.failure_scan_number ELSE excluded.failure_scan_number END AS failure_scan
        ) AS c
        CROSS JOIN LATERAL (
            SELECT old_completed OR (completed_scan = 0 AND old_failure) AS old_base,
                   coalesce(failure_scan > completed_scan, false) AS failing,
                   1 + CASE WHEN stands AND d.failure_scan_number > completed_scan THEN d.attempts ELSE 0 END AS tries
        ) AS e
    )
    WHERE NOT ` + trusted + `
       OR excluded.status = 'completed' AND (d.status = 'failed' OR excluded.scan_number > d.scan_number)
       OR excluded.failure_scan_number > greatest(d.scan_number, d.failure_scan_number)
    RETURNING d.project_id, d.status, d.scan_number, d.snapshot
)`

// upserted is what became of one verdict. Status and Scan are those of the row
// if it was written, and NULL if a better row stood.
type upserted struct {
	ProjectID int64          `db:"project_id"`
	Status    sql.NullString `db:"status"`
	Scan      sql.NullInt64  `db:"scan_number"`
	// Snapshot is the version that the row says its listing is. Which one it is,
	// is known once the version is written.
	Snapshot sql.NullInt64 `db:"snapshot"`
}

func (u upserted) changed() bool { return u.Status.Valid }

// tells whether the row now says what v says, as against what stood before,
// so that the missing repositories have to be v's.
func (u upserted) tells(v verdict) bool {
	switch {
	case !u.changed():
		return false
	case v.completed == nil:
		return u.Status.String == string(gitlab.Failed)
	default:
		return u.Scan.Int64 == v.completed.Scan
	}
}

// upsert returns what became of each verdict by project; one that is not there
// is of a project that was renamed, moved or deleted.
func upsert(ctx context.Context, tx *sqlx.Tx, run Run, verdicts []verdict) (map[int64]upserted, error) {
	var rows []upserted
	c := columnsOf(verdicts)
	err := tx.SelectContext(ctx, &rows, upsertVerdicts, run.ID, run.Scan,
		pq.Array(c.ids), pq.Array(c.statuses), pq.Array(c.scans), pq.Array(c.paths), pq.Array(c.missing),
		pq.Array(c.methods), pq.Array(c.pages), pq.Array(c.listed), pq.Array(c.contradictions), pq.Array(c.again),
		pq.Array(c.failures), pq.Array(c.errors), pq.Array(c.snapshots))
	if err != nil {
		return nil, err
	}
	byProject := make(map[int64]upserted, len(rows))
	for _, row := range rows {
		byProject[row.ProjectID] = row
	}
	return byProject, nil
}

// columns are verdicts, column by column.
type columns struct {
	ids, scans, missing []int64
	statuses, paths     []string
	methods, errors     []sql.NullString
	contradictions      []sql.NullString
	again               []sql.NullString // when to look again
	pages, listed       []sql.NullInt64
	failures            []sql.NullInt64
	snapshots           []sql.NullInt64
}

func columnsOf(verdicts []verdict) columns {
	var c columns
	for _, v := range verdicts {
		c.add(v)
	}
	return c
}

func (c *columns) add(v verdict) {
	base, completed, failed := v.completed, v.completed != nil, v.failed != nil
	if !completed {
		base = v.failed
	}
	c.ids = append(c.ids, v.project.ID)
	c.paths = append(c.paths, v.project.FullPath)
	c.statuses = append(c.statuses, string(base.Status))
	c.scans = append(c.scans, base.Scan)
	missing := 0
	if completed {
		missing = len(base.Missing)
	}
	c.missing = append(c.missing, int64(missing))
	c.methods = append(c.methods, sql.NullString{String: base.Method, Valid: completed})
	c.pages = append(c.pages, sql.NullInt64{Int64: int64(base.Pages), Valid: completed})
	c.listed = append(c.listed, sql.NullInt64{Int64: int64(base.Listed), Valid: completed})
	c.snapshots = append(c.snapshots, firstVersion(v))
	c.contradictions = append(c.contradictions, sql.NullString{String: base.Contradiction, Valid: completed && base.Contradiction != ""})
	again := base.LookAgainAt
	c.again = append(c.again, sql.NullString{String: again.UTC().Format(time.RFC3339Nano), Valid: completed && !again.IsZero()})
	failure := gitlab.Result{}
	if failed {
		failure = *v.failed
	}
	c.failures = append(c.failures, sql.NullInt64{Int64: failure.Scan, Valid: failed})
	c.errors = append(c.errors, sql.NullString{String: legible(failure.Error), Valid: failed})
}
