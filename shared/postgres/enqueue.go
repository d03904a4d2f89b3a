package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// Sorted is what a list of project IDs comes to. Each ID is in one of the
// lists, in the order given and once.
type Sorted struct {
	Known      []int64 // eligible, and to be scanned; if only later, for a second look
	Done       []int64 // eligible, with a trustworthy result that is not due
	Ineligible []int64 // about to be deleted
	Unknown    []int64 // no such project
}

const sortChunk = 10000

const sortProjects = `
SELECT given.id,
       CASE WHEN p.id IS NULL THEN 'unknown'
            WHEN p.pending_delete THEN 'ineligible'
            WHEN ` + wanted + ` THEN 'known'
            ELSE 'done' END AS kind
FROM unnest($3::bigint[]) WITH ORDINALITY AS given (id, position)
LEFT JOIN public.projects p ON p.id = given.id
LEFT JOIN regmend.data_repair_details d ON d.project_id = given.id
LEFT JOIN regmend.looks l ON l.project_id = given.id
CROSS JOIN (SELECT interval '0' AS confirm_after) AS c
ORDER BY given.position`

// Sort says of each ID what kind it is in run.
func (db *DB) Sort(ctx context.Context, run Run, ids []int64) (Sorted, error) {
	var sorted Sorted
	for chunk := range slices.Chunk(once(ids), sortChunk) {
		var rows []struct {
			ID   int64  `db:"id"`
			Kind string `db:"kind"`
		}
		if err := db.sql.SelectContext(ctx, &rows, sortProjects, run.ID, run.Scan, pq.Array(chunk)); err != nil {
			return Sorted{}, db.fault(ctx, "look for the projects", err)
		}
		for _, row := range rows {
			sorted.add(row.ID, row.Kind)
		}
	}
	return sorted, nil
}

func (s *Sorted) add(id int64, kind string) {
	switch kind {
	case "known":
		s.Known = append(s.Known, id)
	case "done":
		s.Done = append(s.Done, id)
	case "ineligible":
		s.Ineligible = append(s.Ineligible, id)
	default:
		s.Unknown = append(s.Unknown, id)
	}
}

// once is ids without repetition, in their order.
func once(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	kept := make([]int64, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			kept = append(kept, id)
		}
	}
	return kept
}

const (
	findRoute = `
SELECT path FROM public.routes
WHERE lower(path) = lower($1)
ORDER BY path = $1 DESC
LIMIT 1`

	// What is below a path begins with it in the same case, so one range of
	// GitLab's index on path in byte order serves; '0' is what follows '/'.
	selectNamespace = `
SELECT r.source_id
FROM public.routes r
JOIN public.projects p ON p.id = r.source_id AND p.pending_delete IS NOT TRUE
WHERE r.source_type = 'Project' AND r.source_id > $2
  AND r.path ~>=~ $1 AND r.path ~<~ ($1 || '0')
  AND (r.path = $1 OR starts_with(r.path, $1 || '/'))
ORDER BY r.source_id
LIMIT $3`
)

// Namespace returns up to limit eligible projects with an ID above from that
// are the project of that full path, in any case, or below the group of it;
// ascending. gitlab.ErrNotFound if there is neither.
func (db *DB) Namespace(ctx context.Context, path string, from int64, limit int) ([]int64, error) {
	var exact string
	err := db.sql.GetContext(ctx, &exact, findRoute, path)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("group or project %s: %w", path, gitlab.ErrNotFound)
	}
	if err != nil {
		return nil, db.fault(ctx, "look for "+path, err)
	}
	ids := []int64{}
	err = db.sql.SelectContext(ctx, &ids, selectNamespace, exact, from, limit)
	return ids, db.fault(ctx, "read the projects of "+path, err)
}

const selectFailed = `
SELECT d.project_id
FROM regmend.data_repair_details d
JOIN public.projects p ON p.id = d.project_id AND p.pending_delete IS NOT TRUE
WHERE d.status = 'failed' AND d.project_id > $3 AND ` + trusted + `
ORDER BY d.project_id
LIMIT $4`

// FailedIDs returns up to limit projects of run with an ID above from that
// failed and never completed, ascending; due or not.
func (db *DB) FailedIDs(ctx context.Context, run Run, from int64, limit int) ([]int64, error) {
	ids := []int64{}
	err := db.sql.SelectContext(ctx, &ids, selectFailed, run.ID, run.Scan, from, limit)
	return ids, db.fault(ctx, "read the failed projects", err)
}
