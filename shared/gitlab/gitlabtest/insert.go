package gitlabtest

import (
	"context"
	"fmt"
	"path"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Insert puts the world into GitLab's tables, which exist and are empty; all of
// it or nothing.
func (w World) Insert(ctx context.Context, db *sqlx.DB) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing left
	for _, insert := range []func(context.Context, *sqlx.Tx) error{w.insertGroups, w.insertProjects, w.insertRepositories} {
		if err := insert(ctx, tx); err != nil {
			return err
		}
	}
	return tx.Commit()
}

const insertGroups = `
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS given (id, full_path, name, parent)
), namespace AS (
    INSERT INTO public.namespaces (id, name, path, type, parent_id, created_at, updated_at)
    SELECT id, name, name, 'Group', nullif(parent, 0), now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM given
)
INSERT INTO public.routes (source_id, source_type, path, name, created_at, updated_at)
SELECT id, 'Namespace', full_path, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM given`

func (w World) insertGroups(ctx context.Context, tx *sqlx.Tx) error {
	ids := map[string]int64{}
	var id, parent []int64
	var name []string
	for i, full := range w.Groups {
		ids[full] = int64(i + 1)
		id = append(id, ids[full])
		name = append(name, path.Base(full))
		parent = append(parent, ids[path.Dir(full)])
	}
	if _, err := tx.ExecContext(ctx, insertGroups, pq.Array(id), pq.Array(w.Groups), pq.Array(name), pq.Array(parent)); err != nil {
		return fmt.Errorf("insert %d groups: %w", len(id), err)
	}
	return nil
}

const insertProjects = `
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bool[], $5::bool[])
        AS given (id, full_path, name, pending_delete, routeless)
), project AS (
    INSERT INTO public.projects (id, name, path, namespace_id, pending_delete, created_at, updated_at)
    SELECT given.id, given.name, given.name, r.source_id, nullif(pending_delete, false),
           now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
    FROM given JOIN public.routes r ON r.path = left(full_path, -length(given.name) - 1)
), feature AS (
    INSERT INTO public.project_features (project_id, pages_access_level, container_registry_access_level)
    SELECT id, 20, id % 3 * 10 FROM given
)
INSERT INTO public.routes (source_id, source_type, path, name, created_at, updated_at)
SELECT id, 'Project', full_path, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM given WHERE NOT routeless`

const setSequences = `
SELECT setval('public.projects_id_seq', (SELECT max(id) FROM public.projects)),
       setval('public.namespaces_id_seq', (SELECT max(id) FROM public.namespaces))`

func (w World) insertProjects(ctx context.Context, tx *sqlx.Tx) error {
	var id []int64
	var full, name []string
	var pendingDelete, routeless []bool
	for _, p := range w.Projects {
		id = append(id, p.ID)
		full = append(full, p.FullPath)
		name = append(name, path.Base(p.FullPath))
		pendingDelete = append(pendingDelete, p.PendingDelete)
		routeless = append(routeless, p.Routeless)
	}
	_, err := tx.ExecContext(ctx, insertProjects,
		pq.Array(id), pq.Array(full), pq.Array(name), pq.Array(pendingDelete), pq.Array(routeless))
	if err != nil {
		return fmt.Errorf("insert %d projects: %w", len(id), err)
	}
	if _, err := tx.ExecContext(ctx, setSequences); err != nil {
		return fmt.Errorf("set the sequences: %w", err)
	}
	return nil
}

const insertRepositories = `
INSERT INTO public.container_repositories (project_id, name, status, created_at, updated_at)
SELECT project_id, name, nullif(status, -1), now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::bigint[], $2::text[], $3::int[]) AS given (project_id, name, status)`

func (w World) insertRepositories(ctx context.Context, tx *sqlx.Tx) error {
	var id, status []int64
	var name []string
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			if !r.Row {
				continue
			}
			id, name = append(id, p.ID), append(name, r.Name)
			if r.Status.Valid {
				status = append(status, int64(r.Status.Int16))
			} else {
				status = append(status, -1)
			}
		}
	}
	if _, err := tx.ExecContext(ctx, insertRepositories, pq.Array(id), pq.Array(name), pq.Array(status)); err != nil {
		return fmt.Errorf("insert %d container repositories: %w", len(id), err)
	}
	return nil
}
