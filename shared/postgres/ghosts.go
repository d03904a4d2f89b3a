package postgres

import (
	"context"
	"time"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// Row is one of GitLab's container_repositories.
type Row struct {
	ID        int64
	Project   gitlab.Project // with its present full path
	Name      string         // relative to the project's path, "" for its root
	CreatedAt time.Time
}

// Path is the registry's of the repository.
func (r Row) Path() string { return r.Project.RepositoryPath(r.Name) }

// RowPosition is a place between two rows, in the order of projects and IDs. The
// zero value is before the first.
type RowPosition struct{ Project, ID int64 }

// Of a window of rows those are returned that are not being deleted, of projects
// with a completed result.
const selectRows = `
WITH looked AS MATERIALIZED (
    SELECT project_id, id, name, status, created_at FROM public.container_repositories
    WHERE (project_id, id) > ($3, $4) ORDER BY project_id, id LIMIT $5
)
SELECT looked.id, looked.project_id, r.path, looked.name, looked.created_at,
       looked.status IS NULL AND ` + settled + ` AND (cardinality($6::text[]) = 0 OR ` + inScope + `) AS wanted
FROM looked
LEFT JOIN LATERAL (SELECT id, pending_delete FROM public.projects WHERE id = looked.project_id LIMIT 1) AS p ON true
LEFT JOIN LATERAL (SELECT * FROM regmend.data_repair_details WHERE project_id = looked.project_id LIMIT 1) AS d ON true
` + routed + `
ORDER BY looked.project_id, looked.id`

// settled: the project p has a route r and, beside it, a result d of a whole
// listing.
const settled = `p.pending_delete IS NOT TRUE AND r.path IS NOT NULL AND d.status = 'completed' AND ` + trusted

// Rows looks at up to window container repositories behind from and returns those
// that are not being deleted, of eligible projects with a completed result of run
// in the namespace (a full path of a group or project, "" for all). next is where
// to go on; end says that there are none behind it.
func (db *DB) Rows(ctx context.Context, run Run, namespace string, from RowPosition, window int) (rows []Row, next RowPosition, end bool, err error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	scope := []string{}
	if namespace != "" {
		scope = append(scope, namespace)
	}
	var looked []struct {
		ID        int64     `db:"id"`
		ProjectID int64     `db:"project_id"`
		Path      *string   `db:"path"`
		Name      string    `db:"name"`
		CreatedAt time.Time `db:"created_at"`
		Wanted    bool      `db:"wanted"`
	}
	err = db.sql.SelectContext(ctx, &looked, selectRows, run.ID, run.Scan, from.Project, from.ID, window, pq.Array(scope))
	if err != nil {
		return nil, from, false, db.fault(ctx, "read the container repositories", err)
	}
	next = from
	for _, l := range looked {
		next = RowPosition{l.ProjectID, l.ID}
		if l.Wanted {
			project := gitlab.Project{ID: l.ProjectID, FullPath: *l.Path}
			rows = append(rows, Row{ID: l.ID, Project: project, Name: l.Name, CreatedAt: l.CreatedAt.UTC()})
		}
	}
	return rows, next, len(looked) < window, nil
}

const selectStanding = `
SELECT pg_is_in_recovery(), coalesce(array_agg(found.position ORDER BY found.position), '{}')
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY
    AS found (id, project_id, name, full_path, position)
` + alive + `
` + routed + `
WHERE r.path = found.full_path AND EXISTS (
    SELECT FROM public.container_repositories c
    WHERE c.id = found.id AND c.project_id = found.project_id AND c.name = found.name AND c.status IS NULL)`

// Standing returns those of rows, in their order, that are still there as they
// were, on the primary. On a standby it is ErrStandby.
func (db *DB) Standing(ctx context.Context, rows []Row) ([]Row, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	ids, projects := make([]int64, len(rows)), make([]int64, len(rows))
	names, paths := make([]string, len(rows)), make([]string, len(rows))
	for i, r := range rows {
		ids[i], projects[i], names[i], paths[i] = r.ID, r.Project.ID, r.Name, r.Project.FullPath
	}
	var standby bool
	var positions pq.Int64Array
	err := db.sql.QueryRowxContext(ctx, selectStanding, pq.Array(ids), pq.Array(projects), pq.Array(names), pq.Array(paths)).
		Scan(&standby, &positions)
	if err == nil && standby {
		err = ErrStandby
	}
	if err != nil {
		return nil, db.fault(ctx, "look for container repositories", err)
	}
	standing := make([]Row, len(positions))
	for i, position := range positions {
		standing[i] = rows[position-1]
	}
	return standing, nil
}
