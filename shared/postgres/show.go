package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// Detail is everything that is known of one project.
type Detail struct {
	ReportRow
	Eligible bool
	// Recorded tells whether there is a result at all; without it all
	// that follows from one is zero.
	Recorded bool
	// Trusted tells whether the result counts: it is of the current run and
	// has its evidence. Otherwise it is shown for what it was.
	Trusted bool
	Run     int64
	Scan    int64
	// ListedPath is the full path that was listed; the project may have
	// another one by now.
	ListedPath string
	gitlab.Evidence
	// LookAgainAt is when the first of Young is old enough to be counted; zero where
	// there are none.
	LookAgainAt time.Time
	// LookedAt is when a first look was had that a second is to follow; zero where
	// there is none. Looked are the repositories it believes missing, sorted.
	LookedAt time.Time
	Looked   []string
}

// Two paths that differ only in case should not be; the exact one goes first.
const findProject = `
SELECT source_id FROM public.routes
WHERE source_type = 'Project' AND lower(path) = lower($1)
ORDER BY path = $1 DESC, source_id
LIMIT 1`

const selectDetail = `
SELECT p.id AS project_id, coalesce(r.path, '') AS full_path, p.pending_delete IS NOT TRUE AS eligible,
       d.project_id IS NOT NULL AS recorded, ` + trusted + ` AS trusted,
       coalesce(d.run_id, 0) AS run_id, coalesce(d.scan_number, 0) AS scan_number,
       coalesce(d.full_path, '') AS listed_path,
       coalesce(d.method, '') AS method, coalesce(d.pages, 0) AS pages, coalesce(d.listed, 0) AS listed,
       coalesce(d.contradiction, '') AS contradiction,
       coalesce(d.status, '') AS status, d.updated_at,
       coalesce(d.error, '') AS error, coalesce(d.attempts, 0) AS attempts, d.next_attempt_at,
       ARRAY(SELECT m.name FROM regmend.missing_repositories m
             WHERE m.project_id = p.id ORDER BY m.name COLLATE "C") AS missing,
       ARRAY(SELECT y.name FROM regmend.young_repositories y
             WHERE y.project_id = p.id ORDER BY y.name COLLATE "C") AS young, d.look_again_at,
       CASE WHEN ` + looked + ` THEN l.looked_at END AS looked_at,
       CASE WHEN ` + looked + ` THEN ARRAY(SELECT n.name FROM regmend.looked_repositories n
             WHERE n.project_id = p.id ORDER BY n.name COLLATE "C") ELSE '{}' END AS looked
FROM public.projects p
` + routed + `
LEFT JOIN regmend.data_repair_details d ON d.project_id = p.id
LEFT JOIN regmend.looks l ON l.project_id = p.id
WHERE p.id = $3`

type detailRow struct {
	Eligible   bool   `db:"eligible"`
	Recorded   bool   `db:"recorded"`
	Trusted    bool   `db:"trusted"`
	Run        int64  `db:"run_id"`
	Scan       int64  `db:"scan_number"`
	ListedPath string `db:"listed_path"`
	Method     string `db:"method"`
	Pages      int    `db:"pages"`
	Listed     int    `db:"listed"`
	Disputed   string `db:"contradiction"`

	LookAgainAt sql.NullTime   `db:"look_again_at"`
	LookedAt    sql.NullTime   `db:"looked_at"`
	Looked      pq.StringArray `db:"looked"`
	reportRow
}

func (r detailRow) detail() Detail {
	return Detail{
		Eligible: r.Eligible, Recorded: r.Recorded, Trusted: r.Trusted,
		Run: r.Run, Scan: r.Scan, ListedPath: r.ListedPath,
		Evidence:    gitlab.Evidence{Method: r.Method, Pages: r.Pages, Listed: r.Listed, Contradiction: r.Disputed},
		LookAgainAt: utc(r.LookAgainAt), LookedAt: utc(r.LookedAt), Looked: r.Looked,
		ReportRow: r.row(),
	}
}

// Show returns what is known of the project of that ID or full path, in any
// case; gitlab.ErrNotFound if there is none. run says which result counts.
func (db *DB) Show(ctx context.Context, run Run, idOrFullPath string) (Detail, error) {
	id, err := db.projectID(ctx, idOrFullPath)
	if err != nil {
		return Detail{}, err
	}
	var row detailRow
	err = db.sql.GetContext(ctx, &row, selectDetail, run.ID, run.Scan, id)
	if errors.Is(err, sql.ErrNoRows) {
		return Detail{}, noProject(idOrFullPath)
	}
	return row.detail(), db.fault(ctx, "read the project", err)
}

// ProjectID returns the ID of the project of that ID or full path, in any case;
// gitlab.ErrNotFound if there is none.
func (db *DB) ProjectID(ctx context.Context, idOrFullPath string) (int64, error) {
	id, err := db.projectID(ctx, idOrFullPath)
	if err != nil {
		return 0, err
	}
	err = db.sql.GetContext(ctx, &id, `SELECT id FROM public.projects WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noProject(idOrFullPath)
	}
	return id, db.fault(ctx, "look for the project", err)
}

func (db *DB) projectID(ctx context.Context, idOrFullPath string) (int64, error) {
	if id, err := strconv.ParseInt(idOrFullPath, 10, 64); err == nil {
		return id, nil
	}
	var id int64
	err := db.sql.GetContext(ctx, &id, findProject, idOrFullPath)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noProject(idOrFullPath)
	}
	return id, db.fault(ctx, "look for the project", err)
}

func noProject(idOrFullPath string) error {
	return fmt.Errorf("project %s: %w", idOrFullPath, gitlab.ErrNotFound)
}
