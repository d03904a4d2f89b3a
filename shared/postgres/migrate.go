package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"io/fs"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/sirupsen/logrus"
)

const versionTable = "regmend.schema_migrations"

// MigrateOptions tune Migrate; the zero value is what is usual.
type MigrateOptions struct {
	// NoForeignKey leaves out the foreign key to projects, and removes it
	// where it is.
	NoForeignKey bool
	// Log is told of every step; nil: of none.
	Log logrus.FieldLogger
}

func (o MigrateOptions) withDefaults() MigrateOptions {
	if o.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Log = silent
	}
	return o
}

const createSchema = `CREATE SCHEMA IF NOT EXISTS regmend`

// grantBackup lets the owner of projects read everything, now and later:
// GitLab's backup dumps the whole database as that role, and fails on a schema
// that it cannot read.
const grantBackup = `
DO $grant$
DECLARE
    reader text := (SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = 'public.projects'::regclass);
BEGIN
    EXECUTE 'GRANT USAGE ON SCHEMA regmend TO ' || reader;
    EXECUTE 'GRANT SELECT ON ALL TABLES IN SCHEMA regmend TO ' || reader;
    EXECUTE 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA regmend TO ' || reader;
    EXECUTE 'ALTER DEFAULT PRIVILEGES IN SCHEMA regmend GRANT SELECT ON TABLES TO ' || reader;
    EXECUTE 'ALTER DEFAULT PRIVILEGES IN SCHEMA regmend GRANT SELECT ON SEQUENCES TO ' || reader;
END
$grant$`

// Migrate brings the schema regmend to the newest of migrations, lets the
// owner of projects read it, and makes or removes the foreign key. Where it
// cannot work it says why in one line, before it changes anything. It may run
// twice at once and may be run again after any error.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS, o MigrateOptions) error {
	o = o.withDefaults()
	if err := db.mayMigrate(ctx, migrations); err != nil {
		return err
	}
	err := db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		if err := holdMigration(ctx, tx); err != nil {
			return err
		}
		return db.migrate(ctx, migrations, o.Log)
	})
	if err != nil {
		return db.fault(ctx, "migrate", err)
	}
	if o.NoForeignKey {
		return db.dropForeignKey(ctx, o.Log)
	}
	return db.makeForeignKey(ctx, o.Log)
}

// holdMigration keeps others from migrating until tx ends. A session's lock
// would be lost behind a pooler; this transaction is idle while another
// connection works, which must not end it.
func holdMigration(ctx context.Context, tx *sqlx.Tx) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, takeLock, lockSpace, lockMigration)
	return err
}

func (db *DB) migrate(ctx context.Context, migrations fs.FS, log logrus.FieldLogger) error {
	f, err := db.findings(ctx)
	if err != nil {
		return err
	}
	if !f.HasSchema {
		if _, err := db.sql.ExecContext(ctx, createSchema); err != nil {
			return err
		}
	}
	provider, err := provider(db.sql.DB, migrations)
	if err != nil {
		return err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return err
	}
	for _, r := range results {
		log.WithFields(logrus.Fields{"version": r.Source.Version, "took": r.Duration}).Info("migration applied")
	}
	_, err = db.sql.ExecContext(ctx, grantBackup)
	return err
}

func provider(db *sql.DB, migrations fs.FS) (*goose.Provider, error) {
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}

// CheckSchema says in one line why regmend cannot work with this database's
// schema: there is none, it is older, or newer than migrations; nil if it can.
func (db *DB) CheckSchema(ctx context.Context, migrations fs.FS) error {
	f, err := db.findings(ctx)
	if err != nil {
		return err
	}
	newest, err := newestVersion(migrations)
	if err != nil {
		return err
	}
	switch {
	case f.Version == 0:
		return ErrNoSchema
	case f.Version < newest:
		return fmt.Errorf("the schema regmend has version %d and this program needs %d: run `regmend migrate`", f.Version, newest)
	case f.Version > newest:
		return tooNew(f.Version, newest)
	}
	return nil
}

func tooNew(version, newest int64) error {
	return fmt.Errorf("the schema regmend has version %d and this program knows only %d: use a newer regmend", version, newest)
}
