package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// sweepSample is how many container repositories are looked for in the catalog
// of a sweep.
const sweepSample = 200

const (
	insertSample = `
INSERT INTO regmend.sweep_sample (scan_number, project_id, name)
SELECT DISTINCT $1::bigint, sampled.project_id, sampled.name
FROM unnest($2::bigint[], $3::text[]) AS sampled (project_id, name)
JOIN regmend.sweep_projects k ON k.scan_number = $1 AND k.project_id = sampled.project_id`

	markSampled = `
UPDATE regmend.sweep_sample s
SET in_catalog = true
FROM unnest($2::bigint[], $3::text[]) AS owned (project_id, name)
WHERE s.scan_number = $1 AND NOT s.in_catalog AND s.project_id = owned.project_id AND s.name = owned.name`

	// Of a project that had another path when its pages were judged, the catalog
	// had nothing.
	selectAbsent = `
SELECT s.project_id, s.name, k.full_path
FROM regmend.sweep_sample s
CROSS JOIN LATERAL (SELECT k.project_id, k.full_path, k.route
                    FROM regmend.sweep_projects k
                    WHERE k.scan_number = s.scan_number AND k.project_id = s.project_id
                    LIMIT 1) AS k
WHERE s.scan_number = $1 AND NOT s.in_catalog AND ` + unchanged + `
ORDER BY s.project_id, s.name`
)

// keepSample notes repositories that GitLab knows before the walk.
func keepSample(ctx context.Context, tx *sqlx.Tx, scan int64) error {
	sample, err := sampleFrom(ctx, tx, sweepSample)
	if err != nil {
		return err
	}
	ids, names := make([]int64, len(sample)), make([]string, len(sample))
	for i, s := range sample {
		ids[i], names[i] = s.Project.ID, s.Name
	}
	_, err = tx.ExecContext(ctx, insertSample, scan, pq.Array(ids), pq.Array(names))
	return err
}

// SweepAbsent returns which of a sample of the repositories that GitLab knew
// before the walk are not in the catalog. One with tags has to be. Those of
// projects that were renamed meanwhile, even if they were renamed back, are left
// out.
func (db *DB) SweepAbsent(ctx context.Context, s Sweep) ([]Candidate, error) {
	if err := s.at(SweepJudging); err != nil {
		return nil, err
	}
	var absent []Candidate
	_, err := db.step(ctx, "look for known repositories in the catalog", s, func(ctx context.Context, tx *sqlx.Tx, _ Run, s *Sweep) error {
		return tx.SelectContext(ctx, &absent, selectAbsent, s.Scan)
	})
	return absent, err
}
