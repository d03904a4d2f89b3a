package postgres_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// grant runs one of the scripts in schema/roles, as its head says.
func grant(t *testing.T, db *postgrestest.Database, script, role string) {
	t.Helper()
	text, err := schema.Roles.ReadFile("roles/" + script)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), script)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	psql := exec.CommandContext(t.Context(), postgrestest.Program(t, "psql"), "-X", "-v", "role="+role, "-d", db.URL, "-f", file)
	if out, err := psql.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// gitlabOwner makes all of GitLab's tables those of a role of its own.
func gitlabOwner(t *testing.T, db *postgrestest.Database) string {
	t.Helper()
	owner := role(t, db, `gitlab`)
	db.Exec(t, `DO $$
		DECLARE
			t regclass;
		BEGIN
			FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
				EXECUTE format('ALTER TABLE %s OWNER TO `+owner+`', t);
			END LOOP;
		END $$`)
	db.Exec(t, `ALTER SCHEMA public OWNER TO `+owner)
	return owner
}

// roles is an installation with GitLab's role and regmend's, each with what
// its script grants.
type roles struct {
	*postgrestest.Database
	projects               []int64
	gitlab, owner, runtime string
	asOwner, asRuntime     *postgres.DB
}

func newRoles(t *testing.T) roles {
	t.Helper()
	r := roles{Database: postgrestest.Empty(t)}
	r.projects = twoProjects(t, r.Database)
	r.gitlab = gitlabOwner(t, r.Database)
	r.owner, r.runtime = role(t, r.Database, "owner"), role(t, r.Database, "runtime")
	grant(t, r.Database, "owner.sql", r.owner)
	r.asOwner = postgrestest.Open(t, as(r.URL, r.owner))
	migrate(t, r.asOwner, postgres.MigrateOptions{})
	grant(t, r.Database, "runtime.sql", r.runtime)
	r.asRuntime = postgrestest.Open(t, as(r.URL, r.runtime))
	return r
}

func TestP15_TheRuntimeRoleIsEnoughAndWritesNothingOfGitLabs(t *testing.T) {
	r := newRoles(t)
	writes := `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables WHERE schemaname = 'public'`
	forgetWrites(t, r.Database)
	live(t, r.asRuntime, r.projects)
	seen, err := r.asRuntime.Inspect(t.Context())
	if err != nil || len(seen.LacksRuntime)+len(seen.LacksSelect)+len(seen.LacksColumns) > 0 {
		t.Errorf("Inspect() = %+v, %v, want nothing lacking", seen, err)
	}
	if got := r.Value(t, writes); got != "0" {
		t.Errorf("%s writes to GitLab's tables", got)
	}
}

// forgetWrites begins to count writes at zero. A connection may tell of its own
// a second later, but does so when it ends at the latest.
func forgetWrites(t *testing.T, db *postgrestest.Database) {
	t.Helper()
	db.SQL.SetMaxIdleConns(0)
	until(t, "the connections that set up to end", func() bool {
		return db.Value(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = '' AND pid <> pg_backend_pid()`) == "0"
	})
	db.Exec(t, `SELECT pg_stat_reset()`)
}

// privileges lists what role may do beyond reading, apart from what everyone
// may.
const privileges = `
SELECT coalesce(string_agg(what, ', ' ORDER BY what), '') FROM (
    SELECT p || ' on ' || n.nspname || '.' || c.relname AS what
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('public', 'regmend')
    CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p
    WHERE c.relkind = 'r' AND has_table_privilege($1, c.oid, p)
    UNION ALL
    SELECT p || ' on ' || n.nspname || '.' || c.relname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('public', 'regmend')
    CROSS JOIN unnest(ARRAY['USAGE', 'UPDATE']) AS p
    WHERE c.relkind = 'S' AND has_sequence_privilege($1, c.oid, p)
    UNION ALL
    SELECT 'CREATE on ' || nspname FROM pg_namespace WHERE nspname IN ('public', 'regmend') AND has_schema_privilege($1, oid, 'CREATE')
    UNION ALL
    SELECT 'CREATE on database' WHERE has_database_privilege($1, current_database(), 'CREATE')
) AS held`

func TestP15_NoRoleMayDoMoreThanItMust(t *testing.T) {
	r := newRoles(t)
	repair := role(t, r.Database, "repair")
	grant(t, r.Database, "runtime.sql", repair)
	grant(t, r.Database, "repair.sql", repair)
	runtime := []string{
		"DELETE on regmend.brake_steps", "INSERT on regmend.brake_steps",
		"DELETE on regmend.data_repair_details", "DELETE on regmend.missing_repositories",
		"DELETE on regmend.sweep_candidates", "DELETE on regmend.sweep_projects", "DELETE on regmend.sweep_sample",
		"DELETE on regmend.unowned_repositories", "DELETE on regmend.young_repositories", "INSERT on regmend.young_repositories",
		"DELETE on regmend.looks", "INSERT on regmend.looks", "UPDATE on regmend.looks",
		"DELETE on regmend.looked_repositories", "INSERT on regmend.looked_repositories", "UPDATE on regmend.looked_repositories",
		"DELETE on regmend.snapshots", "INSERT on regmend.snapshots", "UPDATE on regmend.snapshots",
		"DELETE on regmend.snapshot_contents", "INSERT on regmend.snapshot_contents",
		"INSERT on regmend.shrinkage", "UPDATE on regmend.shrinkage",
		"INSERT on regmend.data_repair_details", "INSERT on regmend.missing_repositories",
		"INSERT on regmend.repair_audit", "INSERT on regmend.repair_items", "INSERT on regmend.repair_plans",
		"UPDATE on regmend.repair_items", "UPDATE on regmend.repair_plans",
		"INSERT on regmend.runs", "INSERT on regmend.settings", "INSERT on regmend.settings_history",
		"INSERT on regmend.sweep_candidates", "INSERT on regmend.sweep_projects", "INSERT on regmend.sweep_sample",
		"INSERT on regmend.sweeps", "INSERT on regmend.unowned_repositories",
		"UPDATE on regmend.data_repair_details", "UPDATE on regmend.scan_number", "UPDATE on regmend.settings",
		"UPDATE on regmend.sweep_candidates", "UPDATE on regmend.sweep_projects", "UPDATE on regmend.sweep_sample",
		"UPDATE on regmend.sweeps", "USAGE on regmend.scan_number",
	}
	for name, want := range map[string][]string{
		r.runtime: runtime,
		repair: append(slices.Clone(runtime), "DELETE on public.container_repositories",
			"INSERT on public.container_repositories", "USAGE on public.container_repositories_id_seq"),
	} {
		got := strings.Split(r.Value(t, privileges, name), ", ")
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("rights of %s (-want +got):\n%s", name, diff)
		}
	}
	outside := strings.Split(r.Value(t, privileges, r.owner), ", ")
	outside = slices.DeleteFunc(outside, func(what string) bool { return strings.Contains(what, "regmend") })
	if diff := cmp.Diff([]string{"CREATE on database", "REFERENCES on public.projects"}, outside); diff != "" {
		t.Errorf("rights of the owner outside its schema (-want +got):\n%s", diff)
	}
	// Which tables of GitLab's are read.
	readable := r.Value(t, `SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege($1, oid, 'SELECT')`, r.runtime)
	if want := "container_expiration_policies container_repositories project_features projects redirect_routes routes"; readable != want {
		t.Errorf("the runtime may read %s, want %s", readable, want)
	}
}

func TestTheOwnerRoleMayUpgradeAndUninstall(t *testing.T) {
	r := newRoles(t)
	migrate(t, r.asOwner, postgres.MigrateOptions{NoForeignKey: true})
	migrate(t, r.asOwner, postgres.MigrateOptions{})
	err := r.asRuntime.Uninstall(t.Context())
	if err == nil || !strings.Contains(err.Error(), "only the role that ran `regmend migrate`") {
		t.Errorf("Uninstall() as the runtime role = %v, want to be told whose that is", err)
	}
	if err := r.asOwner.Uninstall(t.Context()); err != nil {
		t.Errorf("Uninstall() = %v", err)
	}
}

func TestASchemaMadeBeforehandServes(t *testing.T) {
	db := installation(t)
	owner := role(t, db, "owner")
	db.Exec(t, `GRANT SELECT, REFERENCES ON public.projects TO `+owner)
	db.Exec(t, `CREATE SCHEMA regmend AUTHORIZATION `+owner)
	migrate(t, postgrestest.Open(t, as(db.URL, owner)), postgres.MigrateOptions{})
}

// TestP15_GitLabsBackupStillWorks dumps the whole database as the role that
// owns GitLab's tables, also after a migration made new ones.
func TestP15_GitLabsBackupStillWorks(t *testing.T) {
	r := newRoles(t)
	live(t, r.asRuntime, r.projects)
	later := connect(t, as(r.URL, r.owner))
	later.MustExec(`CREATE TABLE regmend.later (id bigserial PRIMARY KEY)`)
	dump := exec.CommandContext(t.Context(), postgrestest.Program(t, "pg_dump"), "-f", os.DevNull, as(r.URL, r.gitlab))
	if out, err := dump.CombinedOutput(); err != nil {
		t.Errorf("pg_dump as %s: %v\n%s", r.gitlab, err, out)
	}
	seen, err := r.asRuntime.Inspect(t.Context())
	if err != nil || seen.ProjectsOwner != r.gitlab || len(seen.OwnerLacks) > 0 {
		t.Errorf("Inspect() = %+v, %v, want nothing that the owner of projects cannot read", seen, err)
	}
	later.MustExec(`REVOKE SELECT ON regmend.later FROM ` + r.gitlab)
	seen, err = r.asRuntime.Inspect(t.Context())
	if diff := cmp.Diff([]string{"regmend.later"}, seen.OwnerLacks); err != nil || diff != "" {
		t.Errorf("OwnerLacks (-want +got), %v:\n%s", err, diff)
	}
}

func TestDeletingAProjectAsGitLabDeletesItsResult(t *testing.T) {
	r := newRoles(t)
	live(t, r.asRuntime, r.projects)
	gitlab := connect(t, as(r.URL, r.gitlab))
	gitlab.MustExec(`DELETE FROM container_repositories`)
	gitlab.MustExec(`DELETE FROM projects WHERE id = $1`, r.projects[0])
	if got := r.Value(t, `SELECT count(*) || ' ' || (SELECT count(*) FROM regmend.missing_repositories) FROM regmend.data_repair_details`); got != "1 0" {
		t.Errorf("results and missing repositories left = %s, want 1 0", got)
	}
}
