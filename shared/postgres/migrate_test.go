package postgres_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
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

func TestMigrationPlanIsWhatMigrateRuns(t *testing.T) {
	planned, migrated := installation(t), installation(t)
	before := planned.Value(t, objects)
	text, err := planned.DB.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if after := planned.Value(t, objects); after != before {
		t.Errorf("the plan changed something: %s", cmp.Diff(before, after))
	}
	for _, want := range []string{"SHARE ROW EXCLUSIVE on projects", "CREATE SCHEMA", "regmend.data_repair_details (", "GRANT USAGE", "VALIDATE CONSTRAINT"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not mention %q", want)
		}
	}
	// What a person runs by hand makes the same.
	planned.Exec(t, text)
	migrate(t, migrated.DB, postgres.MigrateOptions{})
	if diff := cmp.Diff(migrated.Value(t, objects), planned.Value(t, objects)); diff != "" {
		t.Errorf("objects (-migrated +planned):\n%s", diff)
	}
	migrate(t, planned.DB, postgres.MigrateOptions{})
	if err := planned.DB.CheckSchema(t.Context(), schema.Migrations); err != nil {
		t.Errorf("CheckSchema() = %v", err)
	}
}

func TestMigrationPlanOfAnUpToDateSchemaIsEmpty(t *testing.T) {
	db := installation(t)
	migrate(t, db.DB, postgres.MigrateOptions{})
	text, err := db.DB.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{})
	if err != nil || !strings.Contains(text, "nothing would run") {
		t.Errorf("MigrationPlan() = %q, %v", text, err)
	}
	text, err = db.DB.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{NoForeignKey: true})
	if err != nil || !strings.Contains(text, "DROP CONSTRAINT") || !strings.Contains(text, "ACCESS EXCLUSIVE") {
		t.Errorf("MigrationPlan() without the foreign key = %q, %v", text, err)
	}
}

// TestP15_TheForeignKeyTakesTheLocksThatThePlanSays reads pg_locks in the
// very transaction.
func TestP15_TheForeignKeyTakesTheLocksThatThePlanSays(t *testing.T) {
	db := installation(t)
	migrate(t, db.DB, postgres.MigrateOptions{NoForeignKey: true})
	const table = `ALTER TABLE regmend.data_repair_details `
	for _, step := range []struct{ statement, want string }{
		{`ADD CONSTRAINT k FOREIGN KEY (project_id) REFERENCES public.projects ON DELETE CASCADE NOT VALID`, "AccessShareLock ShareRowExclusiveLock"},
		{`VALIDATE CONSTRAINT k`, "AccessShareLock RowShareLock"},
		{`DROP CONSTRAINT k`, "AccessExclusiveLock"},
	} {
		tx := db.SQL.MustBegin()
		tx.MustExec(table + step.statement)
		var got string
		if err := tx.Get(&got, `SELECT string_agg(DISTINCT mode, ' ' ORDER BY mode) FROM pg_locks
			WHERE relation = 'public.projects'::regclass AND pid = pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		if got != step.want {
			t.Errorf("%s takes %s on projects, want %s", step.statement, got, step.want)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMigrateWaitsForProjectsInSmallSteps(t *testing.T) {
	db := installation(t)
	log, hook := test.NewNullLogger()
	reader := db.SQL.MustBegin()
	reader.MustExec(`LOCK TABLE public.projects IN ROW EXCLUSIVE MODE`)
	var group errgroup.Group
	group.Go(func() error {
		return db.DB.Migrate(t.Context(), schema.Migrations, postgres.MigrateOptions{Log: log})
	})
	until(t, "two tries", func() bool { return len(warnings(hook)) >= 2 })
	// A writer of projects gets through in between.
	began := time.Now()
	db.Exec(t, `SET lock_timeout = '5s'; UPDATE public.projects SET name = 'other'`)
	if took := time.Since(began); took > time.Second {
		t.Errorf("a writer of projects waited %v", took)
	}
	if err := reader.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Errorf("Migrate() = %v", err)
	}
	if got := db.Value(t, `SELECT bool_and(convalidated) FROM pg_constraint WHERE confrelid = 'public.projects'::regclass AND connamespace = 'regmend'::regnamespace`); got != "true" {
		t.Errorf("foreign key validated: %q, want true", got)
	}
}

func warnings(hook *test.Hook) []*logrus.Entry {
	var found []*logrus.Entry
	for _, entry := range hook.AllEntries() {
		if entry.Level == logrus.WarnLevel {
			found = append(found, entry)
		}
	}
	return found
}

func TestTheForeignKeyCanBeLeftOutRemovedAndMade(t *testing.T) {
	db := installation(t)
	keys := func() string {
		return db.Value(t, `SELECT count(*) FROM pg_constraint WHERE confrelid = 'public.projects'::regclass AND connamespace = 'regmend'::regnamespace`)
	}
	for _, step := range []struct {
		without bool
		want    string
	}{{true, "0"}, {false, "1"}, {true, "0"}} {
		migrate(t, db.DB, postgres.MigrateOptions{NoForeignKey: step.without})
		if got := keys(); got != step.want {
			t.Errorf("NoForeignKey %v: %s foreign keys, want %s", step.without, got, step.want)
		}
	}
	// Orphans of the time without do not keep the key from being made again.
	db.Exec(t, `INSERT INTO regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed)
		VALUES (4711, 0, 'completed', now(), 1, 1, 'gone', 'gitlab', 1, 0)`)
	migrate(t, db.DB, postgres.MigrateOptions{})
	if got := keys() + " " + db.Value(t, `SELECT count(*) FROM regmend.data_repair_details`); got != "1 0" {
		t.Errorf("keys and orphans = %s, want 1 0", got)
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
	if err := db.DB.Uninstall(t.Context()); err != nil {
		t.Errorf("second Uninstall() = %v", err)
	}
}

func TestP17_AStandbyIsToldApart(t *testing.T) {
	standby := startStandby(t)
	db := postgrestest.Open(t, standby.Database("postgres"))
	if err := db.Migrate(t.Context(), schema.Migrations, postgres.MigrateOptions{}); !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("Migrate() on a standby = %v, want ErrStandby", err)
	}
}

// startStandby starts a server that recovers without end.
func startStandby(t *testing.T) *servers.Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "standby-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := servers.StartPostgres(t.Context(), dir, "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	prepareStandby(t, server)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server
}

// prepareStandby fills the database postgres while it can be written.
func prepareStandby(t *testing.T, server *servers.Postgres) {
	t.Helper()
	db := &postgrestest.Database{SQL: connect(t, server.URL)}
	db.Exec(t, schema.GitLab)
	db.Project(t, "g/app")
	migrate(t, postgrestest.Open(t, server.URL), postgres.MigrateOptions{})
}
