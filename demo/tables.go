package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path"

	"regmend/schema"

	"github.com/lib/pq"
)

// withTables runs one transaction.
func withTables(ctx context.Context, url string, do func(tx *sql.Tx) error) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// createDatabase cannot be in a transaction.
func createDatabase(ctx context.Context, url, name string) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name))
	return err
}

func insertGitLab(ctx context.Context, url string, g *gitLab) error {
	return withTables(ctx, url, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, schema.GitLab); err != nil {
			return fmt.Errorf("GitLab's tables: %w", err)
		}
		for _, insert := range []func(context.Context, *sql.Tx, *gitLab) error{
			insertNamespaces, insertProjects, insertRoutes, insertRepositories,
		} {
			if err := insert(ctx, tx, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// What is inserted comes as arrays, one for each column.
const (
	insertNamespacesSQL = `
INSERT INTO public.namespaces (id, name, path, type, parent_id, created_at, updated_at)
SELECT id, path, path, type, NULLIF(parent_id, 0), now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS made (id, path, type, parent_id)`

	insertProjectsSQL = `
INSERT INTO public.projects (id, name, path, namespace_id, project_namespace_id, created_at, updated_at)
SELECT id, path, path, group_id, namespace_id, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS made (id, path, group_id, namespace_id)`

	insertProjectFeaturesSQL = `
INSERT INTO public.project_features (project_id, pages_access_level, container_registry_access_level)
SELECT id, 20, 20 FROM public.projects`

	insertRoutesSQL = `
INSERT INTO public.routes (source_type, source_id, path, name, namespace_id, created_at, updated_at)
SELECT source_type, source_id, path, path, namespace_id, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS made (source_type, source_id, path, namespace_id)`

	insertRepositoriesSQL = `
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
SELECT project_id, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::bigint[], $2::text[]) AS made (project_id, name)`

	deleteRepositoriesSQL = `
DELETE FROM public.container_repositories
USING unnest($1::bigint[], $2::text[]) AS lost (project_id, name)
WHERE container_repositories.project_id = lost.project_id AND container_repositories.name = lost.name`
)

func insertNamespaces(ctx context.Context, tx *sql.Tx, g *gitLab) error {
	var ids, parents pq.Int64Array
	var paths, types pq.StringArray
	for _, group := range g.groups {
		ids, parents = append(ids, group.id), append(parents, group.parent)
		paths, types = append(paths, path.Base(group.fullPath)), append(types, "Group")
	}
	for _, p := range g.projects {
		ids, parents = append(ids, p.namespace), append(parents, p.group)
		paths, types = append(paths, path.Base(p.FullPath)), append(types, "Project")
	}
	_, err := tx.ExecContext(ctx, insertNamespacesSQL, ids, paths, types, parents)
	return err
}

func insertProjects(ctx context.Context, tx *sql.Tx, g *gitLab) error {
	var ids, groups, namespaces pq.Int64Array
	var paths pq.StringArray
	for _, p := range g.projects {
		ids, paths = append(ids, p.ID), append(paths, path.Base(p.FullPath))
		groups, namespaces = append(groups, p.group), append(namespaces, p.namespace)
	}
	if _, err := tx.ExecContext(ctx, insertProjectsSQL, ids, paths, groups, namespaces); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, insertProjectFeaturesSQL)
	return err
}

func insertRoutes(ctx context.Context, tx *sql.Tx, g *gitLab) error {
	var types, paths pq.StringArray
	var ids, namespaces pq.Int64Array
	for _, group := range g.groups {
		types, ids = append(types, "Namespace"), append(ids, group.id)
		paths, namespaces = append(paths, group.fullPath), append(namespaces, group.id)
	}
	for _, p := range g.projects {
		types, ids = append(types, "Project"), append(ids, p.ID)
		paths, namespaces = append(paths, p.FullPath), append(namespaces, p.namespace)
	}
	_, err := tx.ExecContext(ctx, insertRoutesSQL, types, ids, paths, namespaces)
	return err
}

func insertRepositories(ctx context.Context, tx *sql.Tx, g *gitLab) error {
	var ids pq.Int64Array
	var names pq.StringArray
	for _, p := range g.projects {
		for _, r := range p.repositories {
			ids, names = append(ids, p.ID), append(names, r.name)
		}
	}
	_, err := tx.ExecContext(ctx, insertRepositoriesSQL, ids, names)
	return err
}

// deleteRows deletes the rows of the repositories of these names by project.
func deleteRows(ctx context.Context, url string, lost map[int64][]string) error {
	var ids pq.Int64Array
	var names pq.StringArray
	for id, of := range lost {
		for _, name := range of {
			ids, names = append(ids, id), append(names, name)
		}
	}
	return withTables(ctx, url, func(tx *sql.Tx) error {
		deleted, err := tx.ExecContext(ctx, deleteRepositoriesSQL, ids, names)
		if err != nil {
			return err
		}
		if n, err := deleted.RowsAffected(); err != nil || n != int64(len(ids)) {
			return errors.Join(fmt.Errorf("%d rows deleted of %d", n, len(ids)), err)
		}
		return nil
	})
}

const selectRepositoriesSQL = `
SELECT id, project_id, name, to_jsonb(c)::text FROM public.container_repositories c`

func containerRepositories(ctx context.Context, url string) (rows containerRows, err error) {
	rows = containerRows{}
	err = withTables(ctx, url, func(tx *sql.Tx) error {
		found, err := tx.QueryContext(ctx, selectRepositoriesSQL)
		if err != nil {
			return err
		}
		defer found.Close() //nolint:errcheck // found.Err tells
		for found.Next() {
			var id int64
			var r containerRow
			if err := found.Scan(&id, &r.project, &r.name, &r.whole); err != nil {
				return err
			}
			rows[id] = r
		}
		return found.Err()
	})
	return rows, err
}
