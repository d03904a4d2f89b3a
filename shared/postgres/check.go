package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"regmend/shared/gitlab"
)

// Disagreement is something that regmend's tables say in two ways.
type Disagreement struct {
	ProjectID int64 // 0: of contents that projects share
	What      string
}

// Checked is how much was checked.
type Checked struct{ Results, Versions, Contents int64 }

const (
	checkWindow         = 5_000
	checkContentsWindow = 1_000
)

// lists is the names of the contents c. The last line ends the text.
const lists = `(string_to_array(c.names, E'\n'))[1:c.listed]`

const (
	selectResultsWindow = `
SELECT max(project_id), count(*)
FROM (SELECT project_id FROM regmend.data_repair_details WHERE project_id > $1 ORDER BY project_id LIMIT $2) AS looked`

	// Each window is read in one statement, and so as of one moment.
	checkResults = `
WITH d AS MATERIALIZED (
    SELECT project_id, missing_count, snapshot FROM regmend.data_repair_details WHERE project_id > $1 AND project_id <= $2
), m AS MATERIALIZED (
    SELECT project_id, count(*) AS names FROM regmend.missing_repositories
    WHERE project_id > $1 AND project_id <= $2 GROUP BY project_id
)
SELECT project_id, format('missing_count is %s, but %s repositories are recorded as missing', missing_count, coalesce(names, 0)) AS what
FROM d LEFT JOIN m USING (project_id)
WHERE missing_count <> coalesce(names, 0)
UNION ALL
SELECT project_id, format('its result is of version %s, which is not there', snapshot)
FROM d
WHERE snapshot IS NOT NULL AND (SELECT s.number FROM regmend.snapshots s
                                WHERE s.project_id = d.project_id AND s.number = d.snapshot LIMIT 1) IS NULL
UNION ALL
SELECT d.project_id, format('%s repositories are recorded as missing that version %s does not list, such as %L', lacking.names, d.snapshot, lacking.one)
FROM d
JOIN m ON m.project_id = d.project_id
CROSS JOIN LATERAL (SELECT digest FROM regmend.snapshots s WHERE s.project_id = d.project_id AND s.number = d.snapshot LIMIT 1) AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS names, min(name) AS one
    FROM (SELECT name FROM regmend.missing_repositories WHERE project_id = d.project_id
          EXCEPT
          SELECT unnest(` + lists + `) FROM regmend.snapshot_contents c WHERE c.digest = s.digest) AS name
) AS lacking
WHERE lacking.names > 0
ORDER BY 1`

	// A version is followed by all that came after it, unless it stays only because
	// it is cited, or is about to go.
	checkVersions = `
WITH v AS MATERIALIZED (
    SELECT project_id, number, digest, listed, scan_number, last_scan_number, last_seen_at,
           row_number() OVER (PARTITION BY project_id ORDER BY number DESC) AS place
    FROM regmend.snapshots WHERE project_id > $1 AND project_id <= $2
), followed AS (
    SELECT v.project_id, v.number, v.digest, v.last_scan_number, n.number AS next, n.digest AS next_digest,
           n.scan_number AS next_scan, ` + outlived + ` OR ` + cited + ` AS stays
    FROM v JOIN v AS n ON n.project_id = v.project_id AND n.place = v.place - 1
)
SELECT project_id, format('version %s lists %s repositories, its contents %s', number, v.listed, coalesce(c.listed::text, 'are not there')) AS what
FROM v LEFT JOIN regmend.snapshot_contents c ON c.digest = v.digest
WHERE v.listed <> coalesce(c.listed, CASE WHEN v.digest IS NULL THEN 0 ELSE -1 END)
UNION ALL
SELECT project_id, format('version %s is followed by %s: what was between is gone', number, next)
FROM followed WHERE next > number + 1 AND NOT stays
UNION ALL
SELECT project_id, format('versions %s and %s are the same', number, next)
FROM followed WHERE next = number + 1 AND digest IS NOT DISTINCT FROM next_digest
UNION ALL
SELECT project_id, format('version %s was seen by scan %s, but version %s, which is above it, already by scan %s', number, last_scan_number, next, next_scan)
FROM followed WHERE next_scan <= last_scan_number
ORDER BY 1`

	selectContents = `
SELECT c.digest, c.listed, c.names,
       (SELECT s.project_id FROM regmend.snapshots s WHERE s.digest = c.digest LIMIT 1) IS NOT NULL AS used
FROM regmend.snapshot_contents c
WHERE c.digest > $1
ORDER BY c.digest
LIMIT $2`
)

// check is one check of everything.
type check struct {
	*DB
	settings Settings
	found    func(Disagreement) error
	progress func(Checked)
	checked  Checked
}

// Check proves that counts, missing repositories, versions and their contents
// agree. It hands each disagreement to found, whose error ends it, and tells how
// far it is. It reads everything, a part at a time, and changes nothing.
func (db *DB) Check(ctx context.Context, settings Settings, found func(Disagreement) error, progress func(Checked)) (Checked, error) {
	c := &check{DB: db, settings: settings, found: found, progress: progress}
	for _, part := range []func(context.Context) error{c.results, c.versions, c.contents} {
		if err := part(ctx); err != nil {
			return c.checked, db.fault(ctx, "check the tables", err)
		}
	}
	return c.checked, nil
}

func (c *check) results(ctx context.Context) error {
	return c.windows(ctx, selectResultsWindow, &c.checked.Results, func(from, to int64) error {
		return c.ask(ctx, checkResults, from, to)
	})
}

func (c *check) versions(ctx context.Context) error {
	const window = `
SELECT max(project_id), count(*)
FROM (SELECT project_id FROM regmend.snapshots WHERE project_id > $1 ORDER BY project_id LIMIT $2) AS looked`
	return c.windows(ctx, window, &c.checked.Versions, func(from, to int64) error {
		return c.ask(ctx, checkVersions, from, to, c.settings.RetainSnapshots, c.settings.RetainSnapshotsFor.Seconds())
	})
}

// windows walks a table by its projects.
func (c *check) windows(ctx context.Context, window string, count *int64, look func(from, to int64) error) error {
	for from := int64(0); ; {
		var last sql.NullInt64
		var looked int64
		if err := c.sql.QueryRowxContext(ctx, window, from, checkWindow).Scan(&last, &looked); err != nil || !last.Valid {
			return err
		}
		if err := look(from, last.Int64); err != nil {
			return err
		}
		from = last.Int64
		*count += looked
		c.progress(c.checked)
	}
}

// ask hands what the query finds to found.
func (c *check) ask(ctx context.Context, query string, args ...any) error {
	rows, err := c.sql.QueryxContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d Disagreement
		if err := rows.Scan(&d.ProjectID, &d.What); err != nil {
			return err
		}
		if err := c.found(d); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c *check) contents(ctx context.Context) error {
	for after := []byte{}; ; {
		n, last, err := c.someContents(ctx, after)
		if err != nil || n == 0 {
			return err
		}
		after = last
		c.checked.Contents += n
		c.progress(c.checked)
	}
}

// someContents checks the next contents, one at a time: they may be large.
func (c *check) someContents(ctx context.Context, after []byte) (n int64, last []byte, err error) {
	rows, err := c.sql.QueryxContext(ctx, selectContents, after, checkContentsWindow)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var row contentsRow
		if err := rows.StructScan(&row); err != nil {
			return n, nil, err
		}
		last = row.Digest
		for _, what := range row.faults() {
			if err := c.found(Disagreement{What: what}); err != nil {
				return n, nil, err
			}
		}
	}
	return n, last, rows.Err()
}

type contentsRow struct {
	Digest []byte `db:"digest"`
	Listed int    `db:"listed"`
	Names  string `db:"names"`
	Used   bool   `db:"used"`
}

// faults says what is wrong with contents.
func (r contentsRow) faults() (faults []string) {
	add := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("contents %x: ", r.Digest)+fmt.Sprintf(format, args...))
	}
	names, err := gitlab.ParseCanonical(r.Names)
	switch {
	case err != nil:
		add("%v", err)
	case len(names) != r.Listed:
		add("they list %d repositories, not %d", len(names), r.Listed)
	}
	if digest := sha256.Sum256([]byte(r.Names)); string(digest[:]) != string(r.Digest) {
		add("they have the digest %x", digest)
	}
	if !r.Used {
		add("no version has them")
	}
	return faults
}
