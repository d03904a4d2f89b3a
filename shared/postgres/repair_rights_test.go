package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
)

// repairing is a lost repository in the installation of roles, and its plan, made
// by the role that may do all but apply.
func repairing(t *testing.T) (r roles, run postgres.Run, plan postgres.Plan) {
	t.Helper()
	r = newRoles(t)
	run, err := r.asRuntime.NewRun(t.Context(), "a test", "registry.example.com", 0)
	if err != nil {
		t.Fatal(err)
	}
	path := r.Value(t, `SELECT path FROM routes WHERE source_type = 'Project' AND source_id = $1`, r.projects[0])
	loaded, err := r.asRuntime.Load(t.Context(), run, 0, r.projects[:1], 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.asRuntime.Write(t.Context(), run, []gitlab.Result{{
		Run: run.ID, Scan: loaded.Scan, Project: gitlab.Project{ID: r.projects[0], FullPath: path}, Status: gitlab.Completed,
		Missing: []string{"lost"}, Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.asRuntime.EnableRepair(t.Context(), true, operator); err != nil {
		t.Fatal(err)
	}
	plan, err = r.asRuntime.MakePlan(t.Context(), run, postgres.PlanScope{Accepted: gitlab.Acceptable()}, operator)
	if err != nil || plan.Counts.Open != 1 {
		t.Fatalf("MakePlan() as the runtime role = %+v, %v", plan, err)
	}
	return r, run, plan
}

func TestRepair_TheThirdRolesGrantsAreEnoughAndNeeded(t *testing.T) {
	r, run, plan := repairing(t)
	order, err := r.asRuntime.Begin(t.Context(), run, postgres.Order{Plan: plan.ID, Action: postgres.ActionApply, Via: postgres.ViaSQL}, operator)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.asRuntime.Restore(t.Context(), run, order, 1)
	var cannot *postgres.CannotRepairError
	if !errors.As(err, &cannot) || !strings.Contains(cannot.Reason, "permission denied for table container_repositories: grant it with schema/roles/repair.sql") {
		t.Errorf("Restore() as the runtime role = %v", err)
	}
	if rights, err := r.asRuntime.RepairRights(t.Context()); err != nil || rights.MayInsert || rights.MayUseIDs || rights.MayDelete || len(rights.LacksSelect) > 0 {
		t.Errorf("RepairRights() of the runtime role = %+v, %v", rights, err)
	}
	name := role(t, r.Database, "repair")
	grant(t, r.Database, "runtime.sql", name)
	grant(t, r.Database, "repair.sql", name)
	db := postgrestest.Open(t, as(r.URL, name))
	if rights, err := db.RepairRights(t.Context()); err != nil || !rights.MayInsert || !rights.MayUseIDs || !rights.MayDelete || rights.Role != name {
		t.Errorf("RepairRights() = %+v, %v", rights, err)
	}
	if d, err := db.Restore(t.Context(), run, order, 1); err != nil || d.State != postgres.ItemApplied {
		t.Fatalf("Restore() = %+v, %v", d, err)
	}
	// It need not read what refers to the row to leave that alone.
	r.Exec(t, `CREATE TABLE states (id bigint REFERENCES container_repositories ON DELETE CASCADE)`)
	r.Exec(t, `INSERT INTO states SELECT id FROM container_repositories WHERE name = 'lost'`)
	undo, err := db.Begin(t.Context(), run, postgres.Order{Plan: plan.ID, Action: postgres.ActionUndo}, operator)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := db.Remove(t.Context(), run, undo, 1); err != nil || d.State != postgres.ItemKept || d.Reason != "something refers to it" {
		t.Errorf("Remove() of what is referred to = %+v, %v", d, err)
	}
	r.Exec(t, `DELETE FROM states`)
	if undo, err = db.Begin(t.Context(), run, undo, operator); err != nil {
		t.Fatal(err)
	}
	if d, err := db.Remove(t.Context(), run, undo, 1); err != nil || d.State != postgres.ItemUndone {
		t.Errorf("Remove() = %+v, %v", d, err)
	}
}

func TestRepair_APlanSaysWhichGrantIsMissing(t *testing.T) {
	r, run, _ := repairing(t)
	r.Exec(t, `REVOKE SELECT ON redirect_routes, project_features FROM `+r.runtime)
	_, err := r.asRuntime.MakePlan(t.Context(), run, postgres.PlanScope{}, operator)
	want := "GRANT SELECT ON public.project_features, public.redirect_routes TO " + r.runtime
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("MakePlan() = %v, want one line with %s", err, want)
	}
	r.Exec(t, `ALTER TABLE projects RENAME marked_for_deletion_at TO marked`)
	if _, err := r.asRuntime.MakePlan(t.Context(), run, postgres.PlanScope{}, operator); err == nil || !strings.Contains(err.Error(), "projects.marked_for_deletion_at") {
		t.Errorf("MakePlan() without a column = %v", err)
	}
}
