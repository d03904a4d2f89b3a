package postgres_test

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// objects lists what there is outside the system's schemas.
const objects = `
SELECT coalesce(string_agg(n.nspname || '.' || c.relname, ' ' ORDER BY n.nspname, c.relname), '')
       || (SELECT coalesce(string_agg(' ' || conname, '' ORDER BY conname), '') FROM pg_constraint WHERE contype = 'f')
       || (SELECT coalesce(string_agg(' schema ' || nspname, '' ORDER BY nspname), '') FROM pg_namespace WHERE nspname !~ '^pg_')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`

// installation is a database with one project and nothing of regmend's.
func installation(t *testing.T) *postgrestest.Database {
	t.Helper()
	db := postgrestest.Empty(t)
	db.Project(t, "g/app")
	return db
}

func migrate(t *testing.T, db *postgres.DB, o postgres.MigrateOptions) {
	t.Helper()
	if err := db.Migrate(t.Context(), schema.Migrations, o); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
}

func TestP17_MigrateObjectsInOneLineAndChangesNothing(t *testing.T) {
	tests := map[string]struct {
		damage func(t *testing.T, db *postgrestest.Database) *postgres.DB
		want   string
	}{
		"no projects table": {
			func(t *testing.T, db *postgrestest.Database) *postgres.DB {
				db.Exec(t, `DROP TABLE public.projects CASCADE`)
				return db.DB
			}, `has no table public\.projects`,
		},
		"projects is a view": {
			func(t *testing.T, db *postgrestest.Database) *postgres.DB {
				db.Exec(t, `DROP TABLE public.projects CASCADE; CREATE VIEW public.projects AS SELECT 1 AS id`)
				return db.DB
			}, `has no table public\.projects`,
		},
		"empty projects, as in the CI database": {
			func(t *testing.T, db *postgrestest.Database) *postgres.DB {
				db.Exec(t, `DELETE FROM public.projects`)
				return db.DB
			}, `is empty, as in GitLab's CI database`,
		},
		"no right to create a schema": {
			func(t *testing.T, db *postgrestest.Database) *postgres.DB {
				owner := role(t, db, "owner")
				db.Exec(t, `GRANT SELECT, REFERENCES ON public.projects TO `+owner)
				return postgrestest.Open(t, as(db.URL, owner))
			}, `may not create regmend's schema.*owner\.sql`,
		},
		"no right to read projects": {
			func(t *testing.T, db *postgrestest.Database) *postgres.DB {
				return postgrestest.Open(t, as(db.URL, role(t, db, "blind")))
			}, `may not read public\.projects`,
		},
		"a newer schema": {
			func(t *testing.T, db *postgrestest.Database) *postgres.DB {
				migrate(t, db.DB, postgres.MigrateOptions{})
				db.Exec(t, `INSERT INTO regmend.schema_migrations (version_id, is_applied) VALUES (99, true)`)
				return db.DB
			}, `has version 99 and this program knows only \d+: use a newer regmend`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := installation(t)
			damaged := test.damage(t, db)
			before := db.Value(t, objects)
			for verb, err := range map[string]error{
				"Migrate":       damaged.Migrate(t.Context(), schema.Migrations, postgres.MigrateOptions{}),
				"MigrationPlan": plan(t, damaged),
			} {
				if err == nil || !regexp.MustCompile(test.want).MatchString(err.Error()) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s() = %v, want one line with %s", verb, err, test.want)
				}
			}
			if diff := cmp.Diff(before, db.Value(t, objects)); diff != "" {
				t.Errorf("objects changed (-before +after):\n%s", diff)
			}
		})
	}
}

func plan(t *testing.T, db *postgres.DB) error {
	_, err := db.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{})
	return err
}

func TestMigrateTwiceIsOnce(t *testing.T) {
	db := installation(t)
	migrate(t, db.DB, postgres.MigrateOptions{})
	before := db.Value(t, objects)
	migrate(t, db.DB, postgres.MigrateOptions{})
	if diff := cmp.Diff(before, db.Value(t, objects)); diff != "" {
		t.Errorf("objects (-first +second):\n%s", diff)
	}
	if err := db.DB.CheckSchema(t.Context(), schema.Migrations); err != nil {
		t.Errorf("CheckSchema() = %v", err)
	}
}

// TestAnUpgradeKeepsResultsAndSettings is of a schema as it was before sweeps.
func TestAnUpgradeKeepsResultsAndSettings(t *testing.T) {
	older := fstest.MapFS{}
	for _, name := range []string{"00001_runs.sql", "00002_results.sql", "00003_settings.sql"} {
		text, err := schema.Migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		older[name] = &fstest.MapFile{Data: text}
	}
	db := postgrestest.Empty(t)
	projects := twoProjects(t, db)
	if err := db.DB.Migrate(t.Context(), older, postgres.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	statement, args := soundRow(projects[0], nil)
	db.Exec(t, statement, args...)
	db.Exec(t, `INSERT INTO regmend.missing_repositories VALUES ($1, 'lost')`, projects[0])
	db.Exec(t, `INSERT INTO regmend.settings (key, value) VALUES ('page_size', '7')`)
	const all = `SELECT (SELECT string_agg(concat_ws(' ', d.project_id, status, missing_count, scan_number, listed, name), ',')
		FROM regmend.data_repair_details d JOIN regmend.missing_repositories USING (project_id)) || (SELECT string_agg(key || value, ',') FROM regmend.settings)`
	before := db.Value(t, all)
	migrate(t, db.DB, postgres.MigrateOptions{})
	if got := db.Value(t, all); got != before {
		t.Errorf("after the upgrade there is %s, want %s", got, before)
	}
	live(t, db.DB, projects)
}

func TestMigrateByFourAtOnce(t *testing.T) {
	db := installation(t)
	var group errgroup.Group
	for range 4 {
		mine := postgrestest.Open(t, db.URL)
		group.Go(func() error { return mine.Migrate(t.Context(), schema.Migrations, postgres.MigrateOptions{}) })
	}
	if err := group.Wait(); err != nil {
		t.Errorf("Migrate: %v", err)
	}
	if got := db.Value(t, `SELECT count(*) - count(DISTINCT version_id) FROM regmend.schema_migrations`); got != "0" {
		t.Errorf("%s migrations were applied twice", got)
	}
}

func TestCheckSchemaSaysWhatToDo(t *testing.T) {
	db := installation(t)
	if err := db.DB.CheckSchema(t.Context(), schema.Migrations); !errors.Is(err, postgres.ErrNoSchema) {
		t.Errorf("CheckSchema() without a schema = %v, want ErrNoSchema", err)
	}
	if _, err := db.DB.State(t.Context()); !errors.Is(err, postgres.ErrNoSchema) || !strings.Contains(err.Error(), "regmend migrate") {
		t.Errorf("State() without a schema = %v, want ErrNoSchema", err)
	}
	old := only(t, "00001_runs.sql", "00002_results.sql")
	if err := db.DB.Migrate(t.Context(), old, postgres.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	err := db.DB.CheckSchema(t.Context(), schema.Migrations)
	if err == nil || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "regmend migrate") {
		t.Errorf("CheckSchema() of an old schema = %v", err)
	}
	if err := db.DB.CheckSchema(t.Context(), old); err != nil {
		t.Errorf("CheckSchema() of its own = %v", err)
	}
	migrate(t, db.DB, postgres.MigrateOptions{})
	if err := db.DB.CheckSchema(t.Context(), old); err == nil || !strings.Contains(err.Error(), "newer regmend") {
		t.Errorf("CheckSchema() of a newer schema = %v", err)
	}
}

// only is the migrations of those names.
func only(t *testing.T, names ...string) fs.FS {
	t.Helper()
	some := fstest.MapFS{}
	for _, name := range names {
		text, err := schema.Migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		some[name] = &fstest.MapFile{Data: text}
	}
	return some
}

// TestATableOfAFailedMigrationCanBeBackedUp is of an upgrade that ended half-way.
func TestATableOfAFailedMigrationCanBeBackedUp(t *testing.T) {
	db := installation(t)
	gitlabOwner(t, db)
	owner := role(t, db, "owner")
	grant(t, db, "owner.sql", owner)
	bad := fstest.MapFS{
		"00001_good.sql": &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE regmend.good (id bigserial PRIMARY KEY);\n")},
		"00002_bad.sql":  &fstest.MapFile{Data: []byte("-- +goose Up\nSELECT 1 / 0;\n")},
	}
	asOwner := postgrestest.Open(t, as(db.URL, owner))
	if err := asOwner.Migrate(t.Context(), bad, postgres.MigrateOptions{}); err == nil {
		t.Fatal("Migrate() with a bad migration succeeded")
	}
	seen, err := asOwner.Inspect(t.Context())
	if err != nil || !seen.HasSchema || len(seen.OwnerLacks) > 0 {
		t.Errorf("OwnerLacks = %v, %v, want nothing", seen.OwnerLacks, err)
	}
}

func TestP15_UninstallLeavesEverythingElse(t *testing.T) {
	db := installation(t)
	before := db.Value(t, objects)
	migrate(t, db.DB, postgres.MigrateOptions{})
	db.Exec(t, `CREATE VIEW public.mine AS SELECT project_id FROM regmend.data_repair_details`)
	if err := db.DB.Uninstall(t.Context()); err == nil {
		t.Error("Uninstall() with a view of others' on it succeeded")
	}
	if db.Value(t, `SELECT count(*) FROM public.mine`) != "0" {
		t.Error("the view is gone")
	}
	db.Exec(t, `DROP VIEW public.mine`)
	if err := db.DB.Uninstall(t.Context()); err != nil {
		t.Fatalf("Uninstall() = %v", err)
	}
	if diff := cmp.Diff(before, db.Value(t, objects)); diff != "" {
		t.Errorf("objects (-before +after):\n%s", diff)
	}
	if got := db.Value(t, `SELECT count(*) FROM pg_default_acl`); got != "0" {
		t.Errorf("%s default privileges are left", got)
	}
	if err := db.DB.Uninstall(t.Context()); err != nil {
		t.Errorf("second Uninstall() = %v", err)
	}
}
