package postgres

import (
	"context"
	"time"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// Loaded is what is left to do of a batch.
type Loaded struct {
	Scan     int64            // the batch's scan number
	Projects []gitlab.Project // eligible and not done, in the order asked for
	Known    int64            // of the batch: the last that has a container repository; 0: none has
	Done     int              // have a result, or a look, that is recent enough
	Gone     int              // deleted, or about to be
	// At is when they were loaded, by the database's clock.
	At time.Time
	// Early is how long it takes until the last of the looks is due for which
	// projects count as done; 0: there is none.
	Early time.Duration
}

// The number is taken in the statement that reads the paths. Where two batches
// load one project in the same moment, the higher number may still go with the
// older path: so the path is compared again when the result is written. Taking
// the number is a write, which a standby refuses.
const loadBatch = `
WITH given AS (
    SELECT id, min(position) AS position
    FROM unnest($4::bigint[]) WITH ORDINALITY AS given (id, position)
    GROUP BY id
), looked AS (
    SELECT given.id, given.position, coalesce(r.path, '') AS path,
           p.id IS NOT NULL AND p.pending_delete IS NOT TRUE AS eligible,
           NOT ` + wanted + ` AND greatest(d.scan_number, d.failure_scan_number,
                                       CASE WHEN ` + looked + ` THEN l.scan_number END) > $3 AS done,
           CASE WHEN ` + looked + ` THEN l.looked_at + c.confirm_after - now() END AS early
    FROM given
    LEFT JOIN LATERAL (SELECT id, pending_delete FROM public.projects WHERE id = given.id LIMIT 1) AS p ON true
    ` + routed + `
    LEFT JOIN LATERAL (SELECT * FROM regmend.data_repair_details WHERE project_id = p.id LIMIT 1) AS d ON true
    LEFT JOIN LATERAL (SELECT * FROM regmend.looks WHERE project_id = p.id LIMIT 1) AS l ON true
    CROSS JOIN (SELECT $5::bigint * interval '1 microsecond' AS confirm_after) AS c
)
SELECT nextval('regmend.scan_number'),
       count(*) FILTER (WHERE eligible AND done),
       count(*) FILTER (WHERE NOT eligible),
       coalesce(array_agg(id ORDER BY position) FILTER (WHERE eligible AND NOT done), '{}'),
       coalesce(array_agg(path ORDER BY position) FILTER (WHERE eligible AND NOT done), '{}'),
       coalesce((SELECT c.project_id FROM public.container_repositories c
                 WHERE c.project_id = ANY ($4) ORDER BY c.project_id DESC LIMIT 1), 0),
       now(),
       coalesce((1000000 * extract(epoch FROM max(early) FILTER (WHERE eligible AND done)))::bigint, 0)
FROM looked`

// Load takes the next scan number and says what of ids is to be scanned for
// run: eligible projects, each once, but those with a trustworthy result whose
// scan number is above after and that is not due to be tried again, and those with
// a look of such a number that was not written confirmAfter ago yet. A project
// without a route has no full path. On a standby it is ErrStandby.
func (db *DB) Load(ctx context.Context, run Run, confirmAfter time.Duration, ids []int64, after int64) (Loaded, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	var loaded Loaded
	var open pq.Int64Array
	var paths pq.StringArray
	var early int64
	err := db.sql.QueryRowxContext(ctx, loadBatch, run.ID, run.Scan, after, pq.Array(ids), confirmAfter.Microseconds()).
		Scan(&loaded.Scan, &loaded.Done, &loaded.Gone, &open, &paths, &loaded.Known, &loaded.At, &early)
	if err != nil {
		return Loaded{}, db.fault(ctx, "load projects", err)
	}
	loaded.Early = time.Duration(early) * time.Microsecond
	for i, id := range open {
		loaded.Projects = append(loaded.Projects, gitlab.Project{ID: id, FullPath: paths[i]})
	}
	return loaded, nil
}

// Listed is a repository that the registry lists.
type Listed struct {
	ProjectID int64
	Name      string    // relative to the project's path, "" for its root
	CreatedAt time.Time // zero where the registry does not tell
}

// LATERAL with LIMIT keeps it to one look into the index for each repository;
// as a plain anti-join the planner may read the whole table.
const selectWithoutRow = `
SELECT pg_is_in_recovery(),
       coalesce(array_agg(listed.position ORDER BY listed.position) FILTER (WHERE row.id IS NULL), '{}')
FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS listed (project_id, name, position)
LEFT JOIN LATERAL (SELECT c.id FROM public.container_repositories c
                   WHERE c.project_id = listed.project_id AND c.name = listed.name
                   LIMIT 1) AS row ON true`

// WithoutRow returns those of listed, in their order, that have no row in
// container_repositories on the primary. A row counts whatever its status.
// It must be asked after the listing. On a standby it is ErrStandby.
func (db *DB) WithoutRow(ctx context.Context, listed []Listed) ([]Listed, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	ids, names := make([]int64, len(listed)), make([]string, len(listed))
	for i, l := range listed {
		ids[i], names[i] = l.ProjectID, l.Name
	}
	var standby bool
	var positions pq.Int64Array
	err := db.sql.QueryRowxContext(ctx, selectWithoutRow, pq.Array(ids), pq.Array(names)).Scan(&standby, &positions)
	if err == nil && standby {
		err = ErrStandby
	}
	if err != nil {
		return nil, db.fault(ctx, "look for container repositories", err)
	}
	missing := make([]Listed, len(positions))
	for i, position := range positions {
		missing[i] = listed[position-1]
	}
	return missing, nil
}
