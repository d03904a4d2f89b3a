package postgres

import (
	"context"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// In the order of digests, so that two flushes that meet wait for each other
	// and do not deadlock.
	insertContents = `
INSERT INTO regmend.snapshot_contents (digest, listed, names)
SELECT digest, listed, names
FROM unnest($1::bytea[], $2::integer[], $3::text[]) AS found (digest, listed, names)
ORDER BY digest
ON CONFLICT (digest) DO NOTHING`

	insertVersions = `
INSERT INTO regmend.snapshots (project_id, number, digest, listed, run_id, scan_number, last_scan_number)
SELECT project_id, number, nullif(digest, ''), listed, $1, scan_number, scan_number
FROM unnest($2::bigint[], $3::integer[], $4::bytea[], $5::integer[], $6::bigint[])
    AS found (project_id, number, digest, listed, scan_number)
ORDER BY project_id
ON CONFLICT (project_id, number) DO NOTHING
RETURNING project_id`

	// Each is looked up by itself, see trust.go, and locked first: a row that
	// moves meanwhile would not be found.
	updateSeen = `
UPDATE regmend.snapshots s SET last_seen_at = now(), last_scan_number = seen.scan_number
FROM (
    SELECT v.ctid, found.scan_number
    FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS found (project_id, number, scan_number)
    CROSS JOIN LATERAL (SELECT ctid FROM regmend.snapshots
                        WHERE project_id = found.project_id AND number = found.number AND last_scan_number < found.scan_number
                        LIMIT 1 FOR UPDATE) AS v
    ORDER BY found.project_id
) AS seen
WHERE s.ctid = seen.ctid`
)

// write writes what was decided. lost are projects of which somebody else added
// a version meanwhile.
func (d decision) write(ctx context.Context, tx *sqlx.Tx, run Run) (lost map[int64]bool, err error) {
	if err := d.writeContents(ctx, tx); err != nil {
		return nil, err
	}
	if lost, err = d.writeVersions(ctx, tx, run); err != nil {
		return nil, err
	}
	return lost, d.writeSeen(ctx, tx)
}

// writeContents writes the contents that the added versions have. They are there
// until the end of the transaction: who removes some is locked out.
func (d decision) writeContents(ctx context.Context, tx *sqlx.Tx) error {
	var digests pq.ByteaArray
	var listed []int64
	var names []string
	sent := make(map[string]bool)
	for _, l := range d.added {
		if len(l.names) == 0 || sent[string(l.digest)] {
			continue
		}
		sent[string(l.digest)] = true
		digests = append(digests, l.digest)
		listed = append(listed, int64(len(l.names)))
		names = append(names, gitlab.Canonical(l.names))
	}
	if len(digests) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, insertContents, digests, pq.Array(listed), pq.Array(names))
	return err
}

func (d decision) writeVersions(ctx context.Context, tx *sqlx.Tx, run Run) (lost map[int64]bool, err error) {
	if len(d.added) == 0 {
		return nil, nil
	}
	var ids, numbers, listed, scans []int64
	var digests pq.ByteaArray
	lost = make(map[int64]bool, len(d.added))
	for _, l := range d.added {
		lost[l.project.ID] = true
		ids, numbers = append(ids, l.project.ID), append(numbers, d.numbers[l.project.ID])
		digests, listed, scans = append(digests, l.digest), append(listed, int64(len(l.names))), append(scans, l.scan)
	}
	var added []int64
	err = tx.SelectContext(ctx, &added, insertVersions, run.ID, pq.Array(ids), pq.Array(numbers), digests, pq.Array(listed), pq.Array(scans))
	for _, id := range added {
		delete(lost, id)
	}
	return lost, err
}

func (d decision) writeSeen(ctx context.Context, tx *sqlx.Tx) error {
	if len(d.seen) == 0 {
		return nil
	}
	var ids, numbers, scans []int64
	for _, l := range d.seen {
		ids, numbers, scans = append(ids, l.project.ID), append(numbers, d.numbers[l.project.ID]), append(scans, l.scan)
	}
	_, err := tx.ExecContext(ctx, updateSeen, pq.Array(ids), pq.Array(numbers), pq.Array(scans))
	return err
}
