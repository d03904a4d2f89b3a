package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pressly/goose/v3"
)

// findings are what decides whether the schema can be migrated.
type findings struct {
	Database    string `db:"database"`
	Role        string `db:"role"`
	Standby     bool   `db:"standby"`
	HasProjects bool   `db:"has_projects"`
	MayRead     bool   `db:"may_read"`
	MayCreate   bool   `db:"may_create"`
	HasSchema   bool   `db:"has_schema"`
	HasVersions bool   `db:"has_versions"`
	// Filled by statements of their own: their tables may not be there.
	Version     int64 `db:"-"`
	AnyProjects bool  `db:"-"`
}

// The catalog answers for schemas that the role may not use.
const selectFindings = `
SELECT current_database() AS database, current_user AS role, pg_is_in_recovery() AS standby,
       projects.oid IS NOT NULL AS has_projects,
       coalesce(has_table_privilege(projects.oid, 'SELECT'), false) AS may_read,
       coalesce(has_schema_privilege(own.oid, 'CREATE'), has_database_privilege(current_database(), 'CREATE')) AS may_create,
       own.oid IS NOT NULL AS has_schema,
       versions.oid IS NOT NULL AS has_versions
FROM (SELECT) AS one
LEFT JOIN pg_namespace own ON own.nspname = 'regmend'
LEFT JOIN pg_class versions ON versions.relnamespace = own.oid AND versions.relname = 'schema_migrations'
LEFT JOIN pg_namespace gitlab ON gitlab.nspname = 'public'
LEFT JOIN pg_class projects ON projects.relnamespace = gitlab.oid AND projects.relname = 'projects'
                           AND projects.relkind IN ('r', 'p')`

const (
	selectVersion     = `SELECT coalesce(max(version_id), 0) FROM regmend.schema_migrations WHERE is_applied`
	selectAnyProjects = `SELECT EXISTS (SELECT FROM public.projects)`
)

func (db *DB) findings(ctx context.Context) (findings, error) {
	var f findings
	if err := db.sql.GetContext(ctx, &f, selectFindings); err != nil {
		return f, db.fault(ctx, "look at the database", err)
	}
	if f.HasVersions {
		if err := db.sql.GetContext(ctx, &f.Version, selectVersion); err != nil {
			return f, db.fault(ctx, "read the schema's version", err)
		}
	}
	if f.MayRead {
		if err := db.sql.GetContext(ctx, &f.AnyProjects, selectAnyProjects); err != nil {
			return f, db.fault(ctx, "look for projects", err)
		}
	}
	return f, nil
}

func (db *DB) mayMigrate(ctx context.Context, migrations fs.FS) error {
	f, err := db.findings(ctx)
	if err != nil {
		return err
	}
	newest, err := newestVersion(migrations)
	if err != nil {
		return err
	}
	return f.objection(newest)
}

// objection is why a migration to version newest would be wrong here; nil if
// nothing speaks against it.
func (f findings) objection(newest int64) error {
	switch {
	case f.Standby:
		return ErrStandby
	case !f.HasProjects:
		return fmt.Errorf("database %s has no table public.projects: regmend belongs into the database of a GitLab", f.Database)
	case !f.MayRead:
		return fmt.Errorf("role %s may not read public.projects in database %s: see schema/roles/owner.sql", f.Role, f.Database)
	case !f.AnyProjects && !f.HasSchema:
		return fmt.Errorf("public.projects in database %s is empty, as in GitLab's CI database: regmend belongs into its main database", f.Database)
	case f.Version > newest:
		return tooNew(f.Version, newest)
	case !f.MayCreate:
		return fmt.Errorf("role %s may not create regmend's schema or tables in database %s: see schema/roles/owner.sql", f.Role, f.Database)
	}
	return nil
}

// newestVersion is the number of the last of migrations.
func newestVersion(migrations fs.FS) (int64, error) {
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, errors.New("there are no migrations")
	}
	var newest int64
	for _, file := range files {
		version, err := goose.NumericComponent(path.Base(file))
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", file, err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}
