package postgrestest

import (
	"context"
	"fmt"
	"path"
	"testing"

	"regmend/shared/postgres"

	"github.com/jmoiron/sqlx"
)

// Database is one test's database, gone when the test ends.
type Database struct {
	Name string
	URL  string
	DB   *postgres.DB
	SQL  *sqlx.DB // for setting up and for looking at rows
}

// New returns a database with GitLab's tables and regmend's, all empty.
func New(t testing.TB) *Database { return create(t, regmendTemplate) }

// Empty returns a database with GitLab's tables, empty, and nothing of
// regmend's.
func Empty(t testing.TB) *Database { return create(t, gitlabTemplate) }

func create(t testing.TB, template string) *Database {
	t.Helper()
	name := fmt.Sprintf("test_%d", started.databases.Add(1))
	if err := admin(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		if err := admin(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	d := &Database{Name: name, URL: started.server.Database(name)}
	d.DB = Open(t, d.URL)
	d.SQL = sqlx.MustOpen("postgres", d.URL)
	t.Cleanup(func() { _ = d.SQL.Close() })
	return d
}

// Open opens url for as long as the test runs.
func Open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(url)
	if err != nil {
		t.Fatalf("open database: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs a statement that must succeed.
func (d *Database) Exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := d.SQL.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Value returns the one value of a query, as text; ” for NULL.
func (d *Database) Value(t testing.TB, query string, args ...any) string {
	t.Helper()
	var value *string
	if err := d.SQL.GetContext(t.Context(), &value, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if value == nil {
		return ""
	}
	return *value
}

// Run begins a run.
func (d *Database) Run(t testing.TB) postgres.Run {
	t.Helper()
	run, err := d.DB.NewRun(t.Context(), "a test", "registry.example.com", 0)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

const findNamespace = `SELECT source_id FROM public.routes WHERE source_type = 'Namespace' AND path = $1`

const insertNamespace = `
WITH namespace AS (
    INSERT INTO public.namespaces (name, path, type, parent_id, created_at, updated_at)
    VALUES ($1, $1, 'Group', $2, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
    RETURNING id
), route AS (
    INSERT INTO public.routes (source_id, source_type, path, name, namespace_id, created_at, updated_at)
    SELECT id, 'Namespace', $3, $1, id, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM namespace
)
SELECT id FROM namespace`

const insertProject = `
WITH namespace AS (
    INSERT INTO public.namespaces (name, path, type, parent_id, created_at, updated_at)
    VALUES ($1, $1, 'Project', $2, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
    RETURNING id
), project AS (
    INSERT INTO public.projects (name, path, namespace_id, project_namespace_id, created_at, updated_at)
    SELECT $1, $1, $2, id, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM namespace
    RETURNING id, project_namespace_id
), route AS (
    INSERT INTO public.routes (source_id, source_type, path, name, namespace_id, created_at, updated_at)
    SELECT id, 'Project', $3, $1, project_namespace_id, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM project
), features AS (
    INSERT INTO public.project_features (project_id, pages_access_level, container_registry_access_level, created_at, updated_at)
    SELECT id, 20, 20, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM project
)
SELECT id FROM project`

// Project creates the project of that full path, with its groups where they
// are not there yet, and returns its ID.
func (d *Database) Project(t testing.TB, fullPath string) int64 {
	t.Helper()
	parent := d.namespace(t, path.Dir(fullPath))
	var id int64
	if err := d.SQL.GetContext(t.Context(), &id, insertProject, path.Base(fullPath), parent, fullPath); err != nil {
		t.Fatalf("create project %s: %v", fullPath, err)
	}
	return id
}

// namespace returns the group of that full path; nil for the top.
func (d *Database) namespace(t testing.TB, fullPath string) *int64 {
	t.Helper()
	if fullPath == "." {
		return nil
	}
	var ids []int64
	if err := d.SQL.SelectContext(t.Context(), &ids, findNamespace, fullPath); err != nil {
		t.Fatal(err)
	}
	if len(ids) > 0 {
		return &ids[0]
	}
	parent := d.namespace(t, path.Dir(fullPath))
	var id int64
	if err := d.SQL.GetContext(t.Context(), &id, insertNamespace, path.Base(fullPath), parent, fullPath); err != nil {
		t.Fatalf("create group %s: %v", fullPath, err)
	}
	return &id
}

// Repository creates a row for the project's container repository of that
// name, "" for its root.
func (d *Database) Repository(t testing.TB, projectID int64, name string) {
	t.Helper()
	d.Exec(t, `
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
VALUES ($1, $2, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')`, projectID, name)
}
