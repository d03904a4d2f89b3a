package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// noNestedLoops is for statements that join what tables have in one range of
// keys: of a table that was filled a moment ago there are no statistics.
const noNestedLoops = `SET LOCAL enable_nestloop = off`

const (
	selectKeySpan = `
SELECT coalesce(max(id), $1) AS last, count(*) AS projects
FROM (SELECT id FROM public.projects WHERE id > $1 ORDER BY id LIMIT $2) AS looked`

	// A project with two routes, which a GitLab that lost its unique index can
	// have, is left to a scan. So is one whose path this database writes in lower
	// case otherwise than the registry does (a Turkish I): as an owner it would
	// not be found.
	keepProjects = `
INSERT INTO regmend.sweep_projects (scan_number, project_id, full_path, route)
SELECT $1, p.id, r.path, r.xmin
FROM public.projects p
JOIN public.routes r ON r.source_id = p.id AND r.source_type = 'Project' AND r.source_id > $2 AND r.source_id <= $3
WHERE p.id > $2 AND p.id <= $3 AND p.pending_delete IS NOT TRUE
  AND r.path <> '' AND lower(r.path) = lower(r.path COLLATE "C")
  AND p.id NOT IN (SELECT source_id FROM public.routes
                   WHERE source_type = 'Project' AND source_id > $2 AND source_id <= $3
                   GROUP BY source_id
                   HAVING count(*) > 1)`

	// What older scans found missing, under the same path, and still is: where
	// the catalog does not have it, the two contradict each other.
	keepReported = `
INSERT INTO regmend.sweep_candidates (scan_number, project_id, name, in_catalog, reported)
SELECT $3, m.project_id, m.name, false, true
FROM regmend.missing_repositories m
JOIN regmend.data_repair_details d ON d.project_id = m.project_id AND d.project_id > $4 AND d.project_id <= $5
JOIN regmend.sweep_projects k
  ON k.project_id = m.project_id AND k.scan_number = $3 AND k.project_id > $4 AND k.project_id <= $5
WHERE m.project_id > $4 AND m.project_id <= $5
  AND d.status = 'completed' AND ` + trusted + ` AND d.scan_number < $3 AND d.full_path = k.full_path
  AND NOT EXISTS (SELECT FROM public.container_repositories c
                  WHERE c.project_id = m.project_id AND c.name = m.name AND c.project_id > $4 AND c.project_id <= $5)`
)

// Keep notes, for one chunk of the projects, the full paths that they have
// before the walk; after the last chunk s is walking. Only a project that is
// kept can be proven to miss nothing, and only while its route stays untouched.
func (db *DB) Keep(ctx context.Context, s Sweep) (Sweep, error) {
	if err := s.at(SweepPreparing); err != nil {
		return Sweep{}, err
	}
	if s.Cursor == 0 {
		if err := db.dropLeftovers(ctx); err != nil {
			return Sweep{}, err
		}
	}
	return db.step(ctx, "keep the projects", s, func(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep) error {
		return keepNext(ctx, tx, run, s, db.chunks.keep)
	})
}

func keepNext(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep, limit int) error {
	var span struct{ Last, Projects int64 }
	if err := tx.GetContext(ctx, &span, selectKeySpan, s.Cursor, limit); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, noNestedLoops); err != nil {
		return err
	}
	kept, err := affected(ctx, tx, keepProjects, s.Scan, s.Cursor, span.Last)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, keepReported, run.ID, run.Scan, s.Scan, s.Cursor, span.Last); err != nil {
		return err
	}
	s.Projects += kept
	s.Cursor = span.Last
	if span.Projects < int64(limit) {
		s.State, s.Cursor = SweepWalking, 0
		return keepSample(ctx, tx, s.Scan)
	}
	return nil
}
