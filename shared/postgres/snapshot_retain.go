package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Retained is what one step of cleaning up did.
type Retained struct {
	Versions, Contents int64 // that were removed
	Next               int64 // go on from here
	End                bool  // the end of the table was reached
}

// cited: something needs the version v of regmend.snapshots, whatever its place
// and its age.
const cited = `(` + citedByRepair + ` OR (SELECT d.project_id FROM regmend.data_repair_details d
	WHERE d.project_id = v.project_id AND d.snapshot = v.number LIMIT 1) IS NOT NULL)`

const (
	// aged are the versions of the projects above $1 and up to $2, the latest of
	// each in place 1.
	aged = `(SELECT project_id, number, digest, last_seen_at,
       row_number() OVER (PARTITION BY project_id ORDER BY number DESC) AS place
FROM regmend.snapshots WHERE project_id > $1 AND project_id <= $2) AS v`

	// outlived: of the version v of aged, which is not the latest, there are $3 newer
	// ones, or it was last seen more than $4 seconds ago (0: that does not matter).
	outlived = `(v.place > 1 AND (v.place > $3 OR $4::float8 > 0 AND v.last_seen_at < now() - make_interval(secs => $4::float8)))`

	// spent: outlived, and nothing needs it.
	spent = `(` + outlived + ` AND NOT ` + cited + `)`

	// removable: spent, or of one of the projects $5, which are gone.
	removable = `(v.project_id = ANY ($5::bigint[]) OR ` + spent + `)`
)

const (
	selectVersionsWindow = `
WITH looked AS MATERIALIZED (
    SELECT project_id FROM regmend.snapshots WHERE project_id > $1 ORDER BY project_id LIMIT $2
), each AS MATERIALIZED (
    SELECT DISTINCT project_id FROM looked
)
SELECT (SELECT max(project_id) FROM looked), (SELECT count(*) FROM looked),
       ARRAY(SELECT project_id FROM each
             WHERE (SELECT p.id FROM public.projects p WHERE p.id = each.project_id LIMIT 1) IS NULL)`

	selectRemovable = `SELECT EXISTS (SELECT FROM ` + aged + ` WHERE ` + removable + `)`

	deleteVersions = `
WITH gone AS (
    DELETE FROM regmend.snapshots s
    USING ` + aged + `
    WHERE s.project_id = v.project_id AND s.number = v.number AND s.project_id > $1 AND s.project_id <= $2
      AND ` + removable + `
    RETURNING s.digest
)
SELECT (SELECT count(*) FROM gone), ARRAY(SELECT DISTINCT digest FROM gone WHERE digest IS NOT NULL)`

	deleteContents = `
DELETE FROM regmend.snapshot_contents c
WHERE c.digest = ANY ($1)
  AND (SELECT s.project_id FROM regmend.snapshots s WHERE s.digest = c.digest LIMIT 1) IS NULL`
)

// retainWindow is how many versions one step looks at, or all of one project.
const retainWindow = 5_000

// Retain removes old versions of the next projects whose ID is above from, and
// contents that no version has any more. A version goes when RetainSnapshots
// newer ones of its project are there, or when it was last seen longer than
// RetainSnapshotsFor ago; but never the latest one, nor one that is cited. All go
// with a project that is gone.
//
// It is safe beside those that write versions: while it removes, for some
// milliseconds, they wait; and where there is nothing to remove, they do not.
func (db *DB) Retain(ctx context.Context, settings Settings, from int64) (Retained, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var last sql.NullInt64
	var looked int
	var gone pq.Int64Array
	err := db.sql.QueryRowxContext(ctx, selectVersionsWindow, from, retainWindow).Scan(&last, &looked, &gone)
	if err != nil {
		return Retained{}, db.fault(ctx, "look for old versions", err)
	}
	r := Retained{Next: max(from, last.Int64), End: looked < retainWindow}
	args := []any{from, r.Next, settings.RetainSnapshots, settings.RetainSnapshotsFor.Seconds(), gone}
	var some bool
	if err := db.sql.GetContext(ctx, &some, selectRemovable, args...); err != nil || !some {
		return r, db.fault(ctx, "look for old versions", err)
	}
	err = db.aloneWithVersions(ctx, func(tx *sqlx.Tx) error { return r.remove(ctx, tx, args) })
	return r, db.fault(ctx, "remove old versions", err)
}

// remove removes what is still removable.
func (r *Retained) remove(ctx context.Context, tx *sqlx.Tx, args []any) error {
	var digests pq.ByteaArray
	if err := tx.QueryRowxContext(ctx, deleteVersions, args...).Scan(&r.Versions, &digests); err != nil {
		return err
	}
	// A statement of its own, which sees what the one before removed.
	result, err := tx.ExecContext(ctx, deleteContents, digests)
	if err != nil {
		return err
	}
	r.Contents, err = result.RowsAffected()
	return err
}

const (
	versionsTries     = 20
	versionsLockPause = 100 * time.Millisecond
)

// aloneWithVersions runs work in a transaction beside which nobody writes or cites
// versions. Who does is waited for briefly at a time, because those that come
// after wait meanwhile.
func (db *DB) aloneWithVersions(ctx context.Context, work func(*sqlx.Tx) error) error {
	for try := 1; ; try++ {
		err := db.transact(ctx, nil, func(tx *sqlx.Tx) error {
			if _, err := tx.ExecContext(ctx, lockTimeout); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, takeLock, lockSpace, lockSnapshots); err != nil {
				return err
			}
			return work(tx)
		})
		switch {
		case !lockNotAvailable(err):
			return err
		case try == versionsTries:
			return fmt.Errorf("versions are written all the time: %w", err)
		}
		if err := sleep(ctx, versionsLockPause); err != nil {
			return err
		}
	}
}
