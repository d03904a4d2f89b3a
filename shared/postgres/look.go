package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// newest brings looks to one a project, ordered by project: the newest. Those that
// are not of run or whose path no project can have are left out; discarded is the
// number of projects that lost all theirs that way.
func newest(run Run, looks []gitlab.Result) (kept []gitlab.Result, discarded int) {
	byProject := make(map[int64]gitlab.Result)
	given := make(map[int64]bool)
	for _, r := range looks {
		given[r.Project.ID] = true
		sound := r.Run == run.ID && r.Scan > run.Scan && storable(r.Project.FullPath)
		if sound && r.Scan > byProject[r.Project.ID].Scan {
			byProject[r.Project.ID] = r
		}
	}
	for _, r := range byProject {
		kept = append(kept, r)
	}
	slices.SortFunc(kept, func(a, b gitlab.Result) int { return cmp.Compare(a.Project.ID, b.Project.ID) })
	return kept, len(given) - len(kept)
}

// divide separates the looks from results that are rows of their own.
func divide(results []gitlab.Result) (looks, others []gitlab.Result) {
	for _, r := range results {
		if r.Status == gitlab.Looked {
			looks = append(looks, r)
		} else {
			others = append(others, r)
		}
	}
	return looks, others
}

// writeLooks writes looks, and where the database refuses a value, goes on in
// halves as writeHalving does.
func (db *DB) writeLooks(ctx context.Context, run Run, looks []gitlab.Result) (Written, error) {
	looks, discarded := newest(run, looks)
	written := Written{Discarded: discarded}
	err := inHalves(looks, func(part []gitlab.Result) error {
		w, err := db.lookTogether(ctx, run, part)
		written = written.plus(w)
		return err
	}, func(r gitlab.Result, reason error) error {
		w, err := db.writeOffender(ctx, run, verdict{project: r.Project, completed: &r}, reason)
		written = written.plus(w)
		return err
	})
	return written, err
}

func (db *DB) lookTogether(ctx context.Context, run Run, looks []gitlab.Result) (written Written, err error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	scans := make([]int64, len(looks))
	for i, r := range looks {
		scans[i] = r.Scan
	}
	err = db.hold(ctx, run, slices.Max(scans), func(tx *sqlx.Tx) error {
		written, err = look(ctx, tx, run, looks)
		return err
	})
	if err != nil {
		return Written{}, err
	}
	return written, nil
}

const (
	// In the order of projects, as everyone locks looks.
	lockLooks = `SELECT FROM regmend.looks WHERE project_id = ANY ($1) ORDER BY project_id FOR UPDATE`

	// forgetLooks: what was missed in another run, under another path, or before a
	// scan that completed since, was not missed by the look before.
	forgetLooks = `
DELETE FROM regmend.looks l
USING unnest($3::bigint[], $4::bigint[], $5::text[]) AS found (project_id, scan_number, full_path)
WHERE l.project_id = found.project_id AND l.scan_number < found.scan_number
  AND (l.run_id <> $1 OR l.scan_number <= $2 OR l.full_path <> found.full_path
       OR EXISTS (SELECT FROM regmend.data_repair_details d
                  WHERE d.project_id = l.project_id AND d.status = 'completed' AND d.scan_number >= l.scan_number))`

	// A look is written beside the row that stands, unless that is a completed one
	// and newer.
	upsertLooks = `
WITH same AS (
    SELECT found.*
    FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS found (project_id, scan_number, full_path, contradiction)
    ` + alive + `
    ` + routed + `
    WHERE r.path = found.full_path
), written AS (
    INSERT INTO regmend.looks AS l (project_id, run_id, scan_number, full_path, looked_at, contradiction)
    SELECT same.project_id, $1, same.scan_number, same.full_path, now(), same.contradiction
    FROM same
    LEFT JOIN LATERAL (SELECT * FROM regmend.data_repair_details
                       WHERE project_id = same.project_id AND status = 'completed' LIMIT 1) AS d ON true
    WHERE NOT (` + trusted + ` AND d.scan_number >= same.scan_number)
    ORDER BY same.project_id
    ON CONFLICT (project_id) DO UPDATE
    SET run_id = excluded.run_id, scan_number = excluded.scan_number, full_path = excluded.full_path,
        looked_at = excluded.looked_at, contradiction = excluded.contradiction
    WHERE l.scan_number < excluded.scan_number
    RETURNING l.project_id
)
SELECT same.project_id, written.project_id IS NOT NULL AS written
FROM same
LEFT JOIN written ON written.project_id = same.project_id`

	deleteLooked = `
DELETE FROM regmend.looked_repositories n
WHERE n.project_id = ANY ($1)
  AND NOT EXISTS (SELECT FROM unnest($2::bigint[], $3::text[]) AS missing (project_id, name)
                  WHERE missing.project_id = n.project_id AND missing.name = n.name)`

	// What the look before missed as well keeps its time.
	upsertLooked = `
INSERT INTO regmend.looked_repositories AS n (project_id, name, looked_at, created_at)
SELECT project_id, name, now(), created_at
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS missing (project_id, name, created_at)
ON CONFLICT (project_id, name) DO UPDATE SET created_at = excluded.created_at
WHERE n.created_at IS DISTINCT FROM excluded.created_at`
)

// look writes looks, ordered by project, that are newer than what stands.
func look(ctx context.Context, tx *sqlx.Tx, run Run, looks []gitlab.Result) (Written, error) {
	var ids, scans []int64
	var paths []string
	var contradictions []sql.NullString
	for _, r := range looks {
		ids, scans, paths = append(ids, r.Project.ID), append(scans, r.Scan), append(paths, r.Project.FullPath)
		contradictions = append(contradictions, sql.NullString{String: r.Contradiction, Valid: r.Contradiction != ""})
	}
	if _, err := tx.ExecContext(ctx, lockLooks, pq.Array(ids)); err != nil {
		return Written{}, err
	}
	if _, err := tx.ExecContext(ctx, forgetLooks, run.ID, run.Scan, pq.Array(ids), pq.Array(scans), pq.Array(paths)); err != nil {
		return Written{}, err
	}
	var same []struct {
		ProjectID int64 `db:"project_id"`
		Written   bool  `db:"written"`
	}
	err := tx.SelectContext(ctx, &same, upsertLooks, run.ID, run.Scan,
		pq.Array(ids), pq.Array(scans), pq.Array(paths), pq.Array(contradictions))
	if err != nil {
		return Written{}, err
	}
	wrote := make(map[int64]bool, len(same))
	for _, row := range same {
		if row.Written {
			wrote[row.ProjectID] = true
		}
	}
	written := Written{Looked: len(wrote), Superseded: len(same) - len(wrote), Discarded: len(looks) - len(same)}
	if err := lookedRows(looks, wrote).replace(ctx, tx); err != nil {
		return Written{}, err
	}
	return written, keepSnapshots(ctx, tx, run, lookedListings(looks, wrote), nil)
}

// lookedListings are those of looks that were written.
func lookedListings(looks []gitlab.Result, wrote map[int64]bool) (listings []wholeListing) {
	for _, r := range looks {
		if wrote[r.Project.ID] {
			listings = verdict{project: r.Project, completed: &r}.addListing(listings, sql.NullInt64{})
		}
	}
	for i := range listings {
		listings[i].rowless = true
	}
	return listings
}

// lookedRows are what those of looks miss that were written.
func lookedRows(looks []gitlab.Result, wrote map[int64]bool) lookedNames {
	var n lookedNames
	for _, r := range looks {
		if wrote[r.Project.ID] {
			n.projects = append(n.projects, r.Project.ID)
			n.add(r.Project.ID, r.Missing, r.Created)
		}
	}
	return n
}

// lookedNames are rows of looked_repositories, and all projects of theirs.
type lookedNames struct {
	projects []int64
	namedRows
}

func (n lookedNames) replace(ctx context.Context, tx *sqlx.Tx) error {
	if len(n.projects) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, deleteLooked, pq.Array(n.projects), pq.Array(n.owners), pq.Array(n.names)); err != nil {
		return err
	}
	return n.insert(ctx, tx, upsertLooked)
}

// namedRows are repositories of projects by name, column by column.
type namedRows struct {
	owners  []int64
	names   []string
	created []sql.NullString
}

func (n *namedRows) add(project int64, names []string, created map[string]time.Time) {
	for _, name := range names {
		at, known := created[name]
		n.owners, n.names = append(n.owners, project), append(n.names, name)
		n.created = append(n.created, sql.NullString{String: at.UTC().Format(time.RFC3339Nano), Valid: known})
	}
}

// insert inserts them by a statement that takes the columns.
func (n namedRows) insert(ctx context.Context, tx *sqlx.Tx, statement string) error {
	if len(n.names) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, statement, pq.Array(n.owners), pq.Array(n.names), pq.Array(n.created))
	return err
}

const (
	// keepContradictions: what a sweep and a scan disagreed about stays in the
	// evidence of the scan that came after both.
	keepContradictions = `
UPDATE regmend.data_repair_details d
SET contradiction = l.contradiction
FROM regmend.looks l
WHERE d.project_id = ANY ($1) AND l.project_id = d.project_id AND l.contradiction IS NOT NULL
  AND d.status = 'completed' AND d.contradiction IS NULL
  AND l.run_id = d.run_id AND l.full_path = d.full_path AND l.scan_number < d.scan_number`

	deleteFollowedLooks = `
DELETE FROM regmend.looks
WHERE project_id IN (
    SELECT l.project_id
    FROM regmend.looks l
    WHERE l.project_id = ANY ($1)
      AND l.scan_number <= (SELECT d.scan_number FROM regmend.data_repair_details d
                            WHERE d.project_id = l.project_id AND d.status = 'completed')
    ORDER BY l.project_id
    FOR UPDATE)`
)

// endLooks deletes the looks that completed results of those projects have come
// after.
func endLooks(ctx context.Context, tx *sqlx.Tx, projects []int64) error {
	if len(projects) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, keepContradictions, pq.Array(projects)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, deleteFollowedLooks, pq.Array(projects))
	return err
}
