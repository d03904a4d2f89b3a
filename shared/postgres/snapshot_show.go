package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"regmend/shared/gitlab"
)

// Snapshot is a version of what a project lists.
type Snapshot struct {
	Number int64
	Digest [sha256.Size]byte
	Listed int
	Run    int64
	// FirstScan and LastScan are the scans that saw it first and last.
	FirstScan, LastScan     int64
	FirstSeenAt, LastSeenAt time.Time
}

const (
	selectProject = `
SELECT p.id, coalesce(r.path, '') AS full_path
FROM public.projects p
` + routed + `
WHERE p.id = $1`

	selectSnapshots = `
SELECT number, digest, listed, run_id, scan_number, last_scan_number, first_seen_at, last_seen_at
FROM regmend.snapshots
WHERE project_id = $1
ORDER BY number`

	selectNames = `
SELECT coalesce(c.names, ''), s.digest IS NULL OR c.digest IS NOT NULL
FROM regmend.snapshots s
LEFT JOIN regmend.snapshot_contents c ON c.digest = s.digest
WHERE s.project_id = $1 AND s.number = $2`
)

type snapshotRow struct {
	Number      int64     `db:"number"`
	Digest      []byte    `db:"digest"`
	Listed      int       `db:"listed"`
	Run         int64     `db:"run_id"`
	FirstScan   int64     `db:"scan_number"`
	LastScan    int64     `db:"last_scan_number"`
	FirstSeenAt time.Time `db:"first_seen_at"`
	LastSeenAt  time.Time `db:"last_seen_at"`
}

func (r snapshotRow) snapshot() Snapshot {
	s := Snapshot{
		Number: r.Number, Digest: gitlab.Digest(nil), Listed: r.Listed, Run: r.Run, FirstScan: r.FirstScan, LastScan: r.LastScan,
		FirstSeenAt: r.FirstSeenAt.UTC(), LastSeenAt: r.LastSeenAt.UTC(),
	}
	if len(r.Digest) == len(s.Digest) {
		copy(s.Digest[:], r.Digest)
	}
	return s
}

// Snapshots returns the project of that ID or full path and the versions of what
// it lists, the oldest first; none is an empty slice. It is gitlab.ErrNotFound if
// there is no such project.
func (db *DB) Snapshots(ctx context.Context, idOrFullPath string) (gitlab.Project, []Snapshot, error) {
	id, err := db.projectID(ctx, idOrFullPath)
	if err != nil {
		return gitlab.Project{}, nil, err
	}
	p := gitlab.Project{}
	err = db.sql.QueryRowxContext(ctx, selectProject, id).Scan(&p.ID, &p.FullPath)
	if errors.Is(err, sql.ErrNoRows) {
		return gitlab.Project{}, nil, noProject(idOrFullPath)
	}
	var rows []snapshotRow
	if err == nil {
		err = db.sql.SelectContext(ctx, &rows, selectSnapshots, id)
	}
	if err != nil {
		return gitlab.Project{}, nil, db.fault(ctx, "read the versions", err)
	}
	snapshots := make([]Snapshot, len(rows))
	for i, row := range rows {
		snapshots[i] = row.snapshot()
	}
	return p, snapshots, nil
}

// SnapshotNames returns the repositories of a version, as gitlab.NameSet makes
// them; gitlab.ErrNotFound if there is no such version.
func (db *DB) SnapshotNames(ctx context.Context, projectID, number int64) ([]string, error) {
	var text string
	var whole bool
	err := db.sql.QueryRowxContext(ctx, selectNames, projectID, number).Scan(&text, &whole)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("version %d of project %d: %w", number, projectID, gitlab.ErrNotFound)
	case err != nil:
		return nil, db.fault(ctx, "read a version", err)
	case !whole:
		return nil, fmt.Errorf("version %d of project %d has lost its contents (see `regmend check`)", number, projectID)
	}
	names, err := gitlab.ParseCanonical(text)
	if err != nil {
		return nil, fmt.Errorf("version %d of project %d: %w (see `regmend check`)", number, projectID, err)
	}
	return names, nil
}
