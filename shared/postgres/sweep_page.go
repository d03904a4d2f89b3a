package postgres

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// As a scalar subquery it is one look into the index for each prefix,
	// whatever the planner believes of routes. DISTINCT: a GitLab that lost its
	// unique index can have a route twice.
	selectOwners = `
SELECT prefix, owners
FROM (SELECT prefix, ARRAY(SELECT DISTINCT p.id
                           FROM public.routes r
                           JOIN public.projects p ON p.id = r.source_id
                           WHERE lower(r.path) = prefix AND r.source_type = 'Project') AS owners
      FROM unnest($1::text[]) AS given (prefix)) AS looked
WHERE cardinality(owners) > 0`

	// A row counts whatever its status. What a scan reported is noted even if it
	// has a row by now: the catalog has it, and the row may go again.
	insertCandidates = `
INSERT INTO regmend.sweep_candidates AS c (scan_number, project_id, name, in_catalog, reported)
SELECT $1, owned.project_id, owned.name, true, false
FROM unnest($2::bigint[], $3::text[]) AS owned (project_id, name)
JOIN LATERAL (SELECT k.project_id FROM regmend.sweep_projects k
              WHERE k.scan_number = $1 AND k.project_id = owned.project_id
              LIMIT 1) AS kept ON true
LEFT JOIN LATERAL (SELECT c.id FROM public.container_repositories c
                   WHERE c.project_id = owned.project_id AND c.name = owned.name
                   LIMIT 1) AS row ON true
LEFT JOIN LATERAL (SELECT c.reported FROM regmend.sweep_candidates c
                   WHERE c.scan_number = $1 AND c.project_id = owned.project_id AND c.name = owned.name
                   LIMIT 1) AS known ON true
WHERE row.id IS NULL OR known.reported
ON CONFLICT (scan_number, project_id, name) DO UPDATE SET in_catalog = true WHERE NOT c.in_catalog`

	// What is inserted is always there already: so it is one look into the index
	// for each, which an UPDATE of a table without statistics is not.
	countListed = `
INSERT INTO regmend.sweep_projects AS k (scan_number, project_id, full_path, route, listed)
SELECT $1, kept.project_id, kept.full_path, kept.route, counted.n
FROM unnest($2::bigint[], $3::int[]) AS counted (project_id, n)
JOIN LATERAL (SELECT k.project_id, k.full_path, k.route FROM regmend.sweep_projects k
              WHERE k.scan_number = $1 AND k.project_id = counted.project_id
              LIMIT 1) AS kept ON true
ON CONFLICT (scan_number, project_id) DO UPDATE SET listed = k.listed + excluded.listed`

	insertUnowned = `
INSERT INTO regmend.unowned_repositories (scan_number, path)
SELECT $1, path
FROM unnest($2::text[]) AS unowned (path)
ON CONFLICT (scan_number, path) DO NOTHING`
)

// SweepPage judges a page of the catalog that was read at the position of s:
// which project owns each path and which of the projects' repositories have no
// row, on the primary, after the page was read. With that it moves s on to
// next; "" means that there is no further page: s is judging then. The paths may
// come in any order, in one page or in several.
func (db *DB) SweepPage(ctx context.Context, s Sweep, paths []string, next string) (Sweep, error) {
	if err := s.at(SweepWalking); err != nil {
		return Sweep{}, err
	}
	paths = sound(paths)
	return db.step(ctx, "judge a page of the catalog", s, func(ctx context.Context, tx *sqlx.Tx, _ Run, s *Sweep) error {
		if err := judgePage(ctx, tx, s, paths); err != nil {
			return err
		}
		s.Pages++
		s.Repositories += int64(len(paths))
		s.Position = next
		if next == "" {
			s.State = SweepJudging
		}
		return nil
	})
}

func judgePage(ctx context.Context, tx *sqlx.Tx, s *Sweep, paths []string) error {
	owners, err := selectOwnersOf(ctx, tx, paths)
	if err != nil {
		return err
	}
	owned, unowned := assign(paths, owners)
	ids, names := make([]int64, len(owned)), make([]string, len(owned))
	for i, o := range owned {
		ids[i], names[i] = o.ProjectID, o.Name
	}
	n, err := affected(ctx, tx, insertCandidates, s.Scan, pq.Array(ids), pq.Array(names))
	if err != nil {
		return err
	}
	s.Candidates += n
	if _, err := affected(ctx, tx, markSampled, s.Scan, pq.Array(ids), pq.Array(names)); err != nil {
		return err
	}
	projects, counts := tally(ids)
	if _, err := affected(ctx, tx, countListed, s.Scan, pq.Array(projects), pq.Array(counts)); err != nil {
		return err
	}
	n, err = affected(ctx, tx, insertUnowned, s.Scan, pq.Array(unowned))
	s.Unowned += n
	return err
}

func selectOwnersOf(ctx context.Context, tx *sqlx.Tx, paths []string) (map[string][]int64, error) {
	var rows []struct {
		Prefix string        `db:"prefix"`
		Owners pq.Int64Array `db:"owners"`
	}
	if err := tx.SelectContext(ctx, &rows, selectOwners, pq.Array(prefixes(paths))); err != nil {
		return nil, err
	}
	owners := make(map[string][]int64, len(rows))
	for _, row := range rows {
		owners[row.Prefix] = row.Owners
	}
	return owners, nil
}

// affected runs a statement and returns how many rows it wrote.
func affected(ctx context.Context, tx *sqlx.Tx, statement string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// tally is how often each ID is there, by ID in ascending order.
func tally(ids []int64) (distinct, counts []int64) {
	sorted := slices.Sorted(slices.Values(ids))
	for i, id := range sorted {
		if i == 0 || id != sorted[i-1] {
			distinct, counts = append(distinct, id), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return distinct, counts
}
