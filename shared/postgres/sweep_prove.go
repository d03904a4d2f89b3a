package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// methodSweep is the evidence's word for how a project was listed.
const methodSweep = "sweep"

// unchanged: the kept project k is still eligible, and nobody has touched its
// route.
const unchanged = `(SELECT p.id FROM public.projects p
   WHERE p.id = k.project_id AND p.pending_delete IS NOT TRUE
   LIMIT 1) IS NOT NULL
  AND (SELECT r.id FROM public.routes r
       WHERE r.source_type = 'Project' AND r.source_id = k.project_id AND r.path = k.full_path AND r.xmin = k.route
       LIMIT 1) IS NOT NULL`

// Prove writes the results of one chunk of the projects; after the last chunk s
// is done. A project that was kept, is still eligible, whose route nobody has
// touched since, and that has no trustworthy completed result of this run,
// misses those of its candidates that have tags and still have no row: mostly
// none, and that is its result. What it misses is a first look (Looks). One with a
// candidate that was not asked for is left as it is, and so is one without any at
// which a scan had a first look. A trustworthy older result that the tags contradict
// is replaced, with what was contradicted, as soon as nothing but what it reported
// is missing or a second look has said so; results of a higher scan number stay.
//
// Where a repository has tags and the catalog does not have it, the catalog was
// not whole: nothing is written, and s has failed.
func (db *DB) Prove(ctx context.Context, s Sweep) (Sweep, error) {
	if err := s.at(SweepJudging); err != nil {
		return Sweep{}, err
	}
	c, err := db.nextChunk(ctx, s)
	switch {
	case err != nil:
		return Sweep{}, err
	case c.objection != "":
		return db.disbelieve(ctx, s, c.objection)
	case len(c.ids) == 0:
		return db.endSweep(ctx, s)
	}
	if err := db.writeVerdicts(ctx, s, c.verdicts); err != nil {
		return Sweep{}, err
	}
	if err := db.lookWhileSweeping(ctx, s, c.looks); err != nil {
		return Sweep{}, err
	}
	return db.proveZeros(ctx, s, c.ids)
}

func (db *DB) endSweep(ctx context.Context, s Sweep) (Sweep, error) {
	s, err := db.step(ctx, "end the sweep", s, func(_ context.Context, _ *sqlx.Tx, _ Run, s *Sweep) error {
		s.State = SweepDone
		return nil
	})
	if err != nil {
		return Sweep{}, err
	}
	return s, db.dropLeftovers(ctx)
}

func (db *DB) disbelieve(ctx context.Context, s Sweep, reason string) (Sweep, error) {
	if err := db.FailSweep(ctx, s, reason); err != nil {
		return Sweep{}, err
	}
	return db.Sweep(ctx)
}

// chunk is what is judged at a time.
type chunk struct {
	objection string  // why nothing can be believed; "" if nothing speaks against it
	ids       []int64 // of kept projects, ascending and without a gap; none at the end
	// verdicts are on those of them that have candidates, where there is something to
	// write, and looks at those that seem to miss what no scan missed.
	verdicts []verdict
	looks    []gitlab.Result
}

// nextChunk reads without writing anything.
func (db *DB) nextChunk(ctx context.Context, s Sweep) (chunk, error) {
	var c chunk
	_, err := db.step(ctx, "read what is to be judged", s, func(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep) (err error) {
		if s.Cursor == 0 {
			if c.objection, err = objectionTo(ctx, tx, s.Scan); err != nil || c.objection != "" {
				return err
			}
		}
		if c.ids, err = keptAfter(ctx, tx, s, db.chunks); err != nil || len(c.ids) == 0 {
			return err
		}
		c.verdicts, c.looks, err = judgeSuspects(ctx, tx, run, s, c.ids)
		return err
	})
	return c, err
}

const selectNotInCatalog = `
SELECT k.project_id, k.full_path, c.name
FROM regmend.sweep_candidates c
JOIN LATERAL (SELECT k.project_id, k.full_path, k.route FROM regmend.sweep_projects k
              WHERE k.scan_number = c.scan_number AND k.project_id = c.project_id
              LIMIT 1) AS k ON true
WHERE c.scan_number = $1 AND c.tagged AND NOT c.in_catalog AND ` + noRow + ` AND ` + unchanged + `
LIMIT 1`

// objectionTo says why the catalog of that scan number cannot be believed. A
// repository that GitLab let somebody push after its page was read has a row.
func objectionTo(ctx context.Context, tx *sqlx.Tx, scan int64) (string, error) {
	var absent Candidate
	err := tx.GetContext(ctx, &absent, selectNotInCatalog, scan)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	p := gitlab.Project{ID: absent.ProjectID, FullPath: absent.FullPath}
	return fmt.Sprintf("the catalog is not whole: it lacks %s, which has tags", p.RepositoryPath(absent.Name)), err
}

const selectKept = `
SELECT ARRAY(SELECT project_id
             FROM regmend.sweep_projects
             WHERE scan_number = $1 AND project_id > $2
               AND project_id <= coalesce((SELECT project_id FROM regmend.sweep_candidates
                                           WHERE scan_number = $1 AND project_id > $2
                                           ORDER BY scan_number, project_id, name
                                           OFFSET $4 LIMIT 1), 9223372036854775807)
             ORDER BY scan_number, project_id
             LIMIT $3)`

// keptAfter are the next projects to be judged.
func keptAfter(ctx context.Context, tx *sqlx.Tx, s *Sweep, limit chunks) ([]int64, error) {
	if _, err := tx.ExecContext(ctx, inIndexOrder); err != nil {
		return nil, err
	}
	var ids pq.Int64Array
	err := tx.GetContext(ctx, &ids, selectKept, s.Scan, s.Cursor, limit.judge, limit.candidates)
	return ids, err
}

// writeVerdicts writes the results of projects that have candidates.
func (db *DB) writeVerdicts(ctx context.Context, s Sweep, verdicts []verdict) error {
	return inHalves(verdicts, func(part []verdict) error {
		_, err := db.step(ctx, "write proven results", s, func(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep) error {
			rows, err := upsert(ctx, tx, run, part)
			if err != nil {
				return err
			}
			s.Proven += int64(count(part, rows).Applied)
			return replaceMissing(ctx, tx, part, rows)
		})
		return err
	}, leavePending[verdict])
}

// lookWhileSweeping writes first looks at what seems missing.
func (db *DB) lookWhileSweeping(ctx context.Context, s Sweep, looks []gitlab.Result) error {
	return inHalves(looks, func(part []gitlab.Result) error {
		_, err := db.step(ctx, "write what is to be looked at again", s, func(ctx context.Context, tx *sqlx.Tx, run Run, _ *Sweep) error {
			_, err := look(ctx, tx, run, part)
			return err
		})
		return err
	}, leavePending[gitlab.Result])
}

// A sweep's looks have its scan number.
const selectSweepLooks = `
SELECT l.project_id
FROM regmend.looks l
WHERE l.project_id > $1 AND l.project_id <= $2 AND l.run_id = $3 AND l.scan_number = $4
ORDER BY l.project_id`

// Looks returns the projects in (from, to] that s had a first look at.
func (db *DB) Looks(ctx context.Context, s Sweep, from, to int64) ([]int64, error) {
	ids := []int64{}
	err := db.sql.SelectContext(ctx, &ids, selectSweepLooks, from, to, s.Run, s.Scan)
	return ids, db.fault(ctx, "read the looks of a sweep", err)
}

// leavePending is for a project whose result the database refuses, mostly
// because it is being deleted: a scan will say what is the matter with it.
func leavePending[T any](T, error) error { return nil }
