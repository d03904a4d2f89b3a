package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Candidate is a repository of a project that may be missing.
type Candidate struct {
	ProjectID int64  `db:"project_id"`
	FullPath  string `db:"full_path"` // the project's, as it was before the walk
	Name      string `db:"name"`      // relative to it, "" for its root
}

// TaggedCandidate is a candidate with what the registry says of its tags.
type TaggedCandidate struct {
	Candidate
	Tagged bool
}

// inIndexOrder is for statements that read the first rows of an index: of a
// table that was filled a moment ago there are no statistics, and all its rows
// might be sorted for them. A statement of the same transaction that has to sort all
// the same then seems so dear to Postgres that it would compile it at each call.
const inIndexOrder = `SELECT set_config('enable_sort', 'off', true), set_config('jit', 'off', true)`

// Where catalog and an older scan agree there is nothing to ask.
const selectOpenCandidates = `
SELECT c.project_id, c.name,
       (SELECT k.full_path FROM regmend.sweep_projects k
        WHERE k.scan_number = c.scan_number AND k.project_id = c.project_id) AS full_path
FROM regmend.sweep_candidates c
WHERE c.scan_number = $1 AND c.tagged IS NULL AND c.in_catalog <> c.reported
ORDER BY c.scan_number, c.project_id, c.name
LIMIT $2`

// SweepCandidates returns up to limit repositories whose tags are to be asked
// for before the projects are judged: what is in the catalog and has no row,
// and what an older scan of this run found missing and the catalog does not
// have. What both have is not asked for. None left is an empty slice.
func (db *DB) SweepCandidates(ctx context.Context, s Sweep, limit int) ([]Candidate, error) {
	if err := s.at(SweepJudging); err != nil {
		return nil, err
	}
	candidates := []Candidate{}
	_, err := db.step(ctx, "read the candidates", s, func(ctx context.Context, tx *sqlx.Tx, _ Run, s *Sweep) error {
		if _, err := tx.ExecContext(ctx, inIndexOrder); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &candidates, selectOpenCandidates, s.Scan, limit)
	})
	return candidates, err
}

const updateTagged = `
UPDATE regmend.sweep_candidates c
SET tagged = answer.tagged
FROM unnest($2::bigint[], $3::text[], $4::bool[]) AS answer (project_id, name, tagged)
WHERE c.scan_number = $1 AND c.project_id = answer.project_id AND c.name = answer.name`

// SetTagged notes what the registry said of candidates' tags.
func (db *DB) SetTagged(ctx context.Context, s Sweep, answers []TaggedCandidate) error {
	if err := s.at(SweepJudging); err != nil {
		return err
	}
	ids, names, tagged := make([]int64, len(answers)), make([]string, len(answers)), make([]bool, len(answers))
	for i, a := range answers {
		ids[i], names[i], tagged[i] = a.ProjectID, a.Name, a.Tagged
	}
	_, err := db.step(ctx, "note the candidates' tags", s, func(ctx context.Context, tx *sqlx.Tx, _ Run, s *Sweep) error {
		_, err := tx.ExecContext(ctx, updateTagged, s.Scan, pq.Array(ids), pq.Array(names), pq.Array(tagged))
		return err
	})
	return err
}
