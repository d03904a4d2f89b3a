package postgres_test

import (
	"testing"
	"time"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sync/errgroup"
)

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

const insertOrphan = `
INSERT INTO regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed)
VALUES (4711, 0, 'completed', now(), 1, 1, 'gone', 'gitlab', 1, 0)`

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
	db.Exec(t, insertOrphan)
	migrate(t, db.DB, postgres.MigrateOptions{})
	if got := keys() + " " + db.Value(t, `SELECT count(*) FROM regmend.data_repair_details`); got != "1 0" {
		t.Errorf("keys and orphans = %s, want 1 0", got)
	}
}

// TestTwoMigrationsThatWaitForProjectsMakeOneForeignKey holds projects until
// both have found that there is none.
func TestTwoMigrationsThatWaitForProjectsMakeOneForeignKey(t *testing.T) {
	t.Parallel()
	db := installation(t)
	migrate(t, db.DB, postgres.MigrateOptions{NoForeignKey: true})
	busy := db.SQL.MustBegin()
	busy.MustExec(`LOCK TABLE public.projects IN ROW EXCLUSIVE MODE`)
	var group errgroup.Group
	var hooks []*test.Hook
	for range 2 {
		log, hook := test.NewNullLogger()
		hooks = append(hooks, hook)
		mine := postgrestest.Open(t, db.URL)
		group.Go(func() error {
			return mine.Migrate(t.Context(), schema.Migrations, postgres.MigrateOptions{Log: log})
		})
	}
	until(t, "both to try", func() bool { return len(warnings(hooks[0])) > 0 && len(warnings(hooks[1])) > 0 })
	if err := busy.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Errorf("Migrate() = %v", err)
	}
	if present, err := db.DB.HasForeignKey(t.Context()); err != nil || !present {
		t.Errorf("HasForeignKey() = %v, %v", present, err)
	}
}

// TestMakingTheForeignKeyMayTakeLongerThanAStatement is of a database that ends
// statements after half a second, and whose orphans take longer.
func TestMakingTheForeignKeyMayTakeLongerThanAStatement(t *testing.T) {
	t.Parallel()
	db := installation(t)
	migrate(t, db.DB, postgres.MigrateOptions{NoForeignKey: true})
	db.Exec(t, insertOrphan)
	db.Exec(t, `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.8); RETURN OLD; END'`)
	db.Exec(t, `CREATE TRIGGER dawdle BEFORE DELETE ON regmend.data_repair_details FOR EACH ROW EXECUTE FUNCTION dawdle()`)
	db.Exec(t, `ALTER DATABASE `+db.Name+` SET statement_timeout = '500ms'`)
	migrate(t, postgrestest.Open(t, db.URL), postgres.MigrateOptions{})
}
