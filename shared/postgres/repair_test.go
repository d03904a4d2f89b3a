package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

func TestRepair_WhatSpeaksAgainstAnItemIsSaid(t *testing.T) {
	const other = `INSERT INTO redirect_routes (source_id, source_type, path, created_at, updated_at) VALUES (`
	for name, test := range map[string]struct {
		change  string
		refused []gitlab.Refusal
	}{
		"nothing":                       {`SELECT 1`, nil},
		"its project is about to go":    {`UPDATE projects SET pending_delete = true`, []gitlab.Refusal{gitlab.RefusedDeletion}},
		"its project is marked":         {`UPDATE projects SET marked_for_deletion_at = current_date`, []gitlab.Refusal{gitlab.RefusedMarked}},
		"the registry is off":           {`UPDATE project_features SET container_registry_access_level = 0`, []gitlab.Refusal{gitlab.RefusedRegistry}},
		"the registry is private":       {`UPDATE project_features SET container_registry_access_level = 10`, nil},
		"nobody knows of its registry":  {`DELETE FROM project_features`, []gitlab.Refusal{gitlab.RefusedRegistry}},
		"a policy is on":                {`INSERT INTO container_expiration_policies (project_id, created_at, updated_at, enabled) SELECT id, now(), now(), true FROM projects`, []gitlab.Refusal{gitlab.RefusedCleanup}},
		"a policy is off":               {`INSERT INTO container_expiration_policies (project_id, created_at, updated_at, enabled) SELECT id, now(), now(), false FROM projects`, nil},
		"it is older than its project":  {`UPDATE projects SET created_at = '2021-01-01 00:00:01'`, []gitlab.Refusal{gitlab.RefusedReuse}},
		"it is as old as its project":   {`UPDATE projects SET created_at = '2021-01-01'`, nil},
		"its age is not known":          {`UPDATE regmend.missing_repositories SET created_at = NULL`, []gitlab.Refusal{gitlab.RefusedAge}},
		"its project's age is unknown":  {`UPDATE projects SET created_at = NULL`, []gitlab.Refusal{gitlab.RefusedAge}},
		"its path was another's":        {other + `4711, 'Project', 'group/APP-A/lost', now(), now())`, []gitlab.Refusal{gitlab.RefusedReuse}},
		"its project's path was":        {other + `4711, 'Project', 'Group/app-a', now(), now())`, []gitlab.Refusal{gitlab.RefusedReuse}},
		"its project was elsewhere":     {other + `(SELECT id FROM projects), 'Project', 'group/app-a/lost', now(), now())`, nil},
		"a group of its path was moved": {other + `4711, 'Namespace', 'Group', now(), now())`, nil},
		"another path was another's":    {other + `4711, 'Project', 'group/app-aa', now(), now())`, nil},
		"its path is not valid":         {`UPDATE regmend.missing_repositories SET name = 'a..b'`, []gitlab.Refusal{gitlab.RefusedPath}},
		"it was renamed":                {`UPDATE routes SET path = 'Group/else' WHERE source_type = 'Project'`, []gitlab.Refusal{gitlab.RefusedRenaming}},
		"all at once": {
			`UPDATE projects SET pending_delete = true, marked_for_deletion_at = current_date, created_at = now();
			 UPDATE project_features SET container_registry_access_level = 0`,
			[]gitlab.Refusal{gitlab.RefusedDeletion, gitlab.RefusedMarked, gitlab.RefusedRegistry, gitlab.RefusedReuse},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lost(t, 1)
			s.Exec(t, test.change)
			before := s.gitlabs(t)
			p := s.plan(t)
			wantRefusals(t, s, p.ID, test.refused...)
			if refused := len(test.refused) > 0; (p.Counts.Refused == 1) != refused || (p.Counts.Open == 1) == refused {
				t.Errorf("counts = %+v, want it refused: %v", p.Counts, refused)
			}
			accepted := s.plan(t, test.refused...)
			if accepted.Counts.Open != 1 {
				t.Errorf("accepted, counts = %+v, want it open", accepted.Counts)
			}
			if got := s.gitlabs(t); got != before {
				t.Errorf("a plan changed GitLab's tables:\n%s\nwere\n%s", got, before)
			}
			// Apply comes to the same when it looks again.
			if d := s.restore(t, s.apply(t, accepted.ID), 1); d.State != postgres.ItemApplied {
				t.Errorf("accepted, Restore() = %+v", d)
			}
		})
	}
}

// The rule of the database is that of the domain.
func TestRepair_PathsAreValidByGitLabsRules(t *testing.T) {
	s := lost(t, 1)
	for _, name := range []string{
		"", "a", "a/b", "a__b", "a___b", "a--b", "-a", "a-", "a.b", "a..b", "a/", "a//b", "A", "ä", "a b", "a\nb", "9",
		strings.Repeat("a", 243), strings.Repeat("a", 244), "x" + strings.Repeat("/a", 16), "x" + strings.Repeat("/a", 17),
	} {
		s.Exec(t, `UPDATE regmend.missing_repositories SET name = $1`, name)
		valid := gitlab.ValidContainerPath(s.projects[0].RepositoryPath(name))
		if refusals := s.items(t, s.plan(t).ID)[0].Refusals; (len(refusals) == 0) != valid {
			t.Errorf("%q: refusals = %v, valid by the domain: %v", name, refusals, valid)
		}
	}
}

func TestRepair_APlanKeepsToItsScope(t *testing.T) {
	s := lost(t, 3)
	s.Exec(t, `UPDATE routes SET path = 'other/app' WHERE path = 'Group/app-b'`)
	s.Exec(t, `UPDATE regmend.data_repair_details SET full_path = 'other/app' WHERE full_path = 'Group/app-b'`)
	count := func(scope postgres.PlanScope) int {
		p, err := s.DB.MakePlan(t.Context(), s.run, scope, operator)
		if err != nil {
			t.Fatal(err)
		}
		return p.Counts.Open
	}
	for name, test := range map[string]struct {
		scope postgres.PlanScope
		want  int
	}{
		"everything":       {postgres.PlanScope{}, 3},
		"a namespace":      {postgres.PlanScope{Namespace: "group"}, 2},
		"a project's path": {postgres.PlanScope{Namespace: "OTHER/app"}, 1},
		"a limit":          {postgres.PlanScope{Limit: 2}, 2},
		"some projects":    {postgres.PlanScope{Projects: []int64{s.projects[0].ID, s.projects[2].ID}}, 2},
	} {
		if got := count(test.scope); got != test.want {
			t.Errorf("%s: %d items, want %d", name, got, test.want)
		}
	}
	s.Repository(t, s.projects[0].ID, "lost")
	if got := count(postgres.PlanScope{}); got != 2 {
		t.Errorf("%d items, although one has a row by now", got)
	}
	_, err := s.DB.MakePlan(t.Context(), s.run, postgres.PlanScope{Projects: []int64{s.projects[0].ID}}, operator)
	if !errors.Is(err, postgres.ErrNothingMissing) {
		t.Errorf("MakePlan() of nothing = %v", err)
	}
	next := s.Run(t)
	if _, err := s.DB.MakePlan(t.Context(), next, postgres.PlanScope{}, operator); !errors.Is(err, postgres.ErrNothingMissing) {
		t.Errorf("MakePlan() from another run's results = %v", err)
	}
	if got := s.Value(t, `SELECT count(*) FROM regmend.repair_plans`); got != "6" {
		t.Errorf("%s plans, want none without items", got)
	}
}

func TestRepair_ARowIsInsertedInGitLabsWayAndJournalled(t *testing.T) {
	s := lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	d := s.restore(t, o, 1)
	if d.State != postgres.ItemApplied || d.Row == 0 {
		t.Fatalf("Restore() = %+v", d)
	}
	fresh := s.Value(t, `SELECT count(*) FROM container_repositories WHERE id = $1 AND project_id = $2 AND name = 'lost'
		AND status IS NULL AND created_at = updated_at AND abs(extract(epoch FROM now() AT TIME ZONE 'utc' - created_at)) < 60
		AND expiration_policy_started_at IS NULL AND expiration_policy_cleanup_status = 0 AND failed_deletion_count = 0`, d.Row, s.projects[0].ID)
	journal := s.Value(t, `SELECT count(*) FROM regmend.repair_items i JOIN container_repositories c ON c.id = i.inserted_id
		WHERE to_jsonb(c) = i.inserted AND i.order_id = $1 AND i.state = 'applied'`, o.ID)
	if fresh != "1" || journal != "1" {
		t.Errorf("%s rows as they should be, %s journalled, want 1 and 1", fresh, journal)
	}
	// As by GitLab's own insert.
	s.Repository(t, s.projects[0].ID, "own")
	if got := s.Value(t, `SELECT count(DISTINCT to_jsonb(c) - 'id' - 'name' - 'created_at' - 'updated_at') FROM container_repositories c`); got != "1" {
		t.Error("the row differs from one of GitLab's own")
	}
	// The reply to a commit was lost: it is tried again.
	if again := s.restore(t, o, 1); again != (postgres.Decided{}) {
		t.Errorf("Restore() again = %+v, want nothing", again)
	}
	if got := s.Value(t, `SELECT count(*) FROM container_repositories`); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
}

func TestRepair_TheStatementsShownInsertTheSame(t *testing.T) {
	s := lost(t, 2)
	s.Exec(t, `UPDATE regmend.missing_repositories SET name = '' WHERE project_id = $1`, s.projects[1].ID)
	p := s.plan(t)
	rows := `SELECT string_agg((to_jsonb(c) - 'id' - 'created_at' - 'updated_at')::text, ' ' ORDER BY project_id) || ' '
		|| bool_and(created_at = updated_at AND abs(extract(epoch FROM now() AT TIME ZONE 'utc' - created_at)) < 60) FROM container_repositories c`
	for range 2 { // the second time they find their rows
		for _, i := range s.items(t, p.ID) {
			s.Exec(t, i.SQL())
		}
	}
	byHand := s.Value(t, rows)
	s.Exec(t, `DELETE FROM container_repositories`)
	o := s.apply(t, p.ID)
	s.restore(t, o, 1)
	s.restore(t, o, 2)
	if got := s.Value(t, rows); got != byHand {
		t.Errorf("apply inserted\n%s\nby hand it was\n%s", got, byHand)
	}
	s.Exec(t, `DELETE FROM container_repositories`)
	s.Exec(t, `UPDATE routes SET path = path || 'x'`)
	for _, i := range s.items(t, p.ID) {
		s.Exec(t, i.SQL())
	}
	if got := s.Value(t, `SELECT count(*) FROM container_repositories`); got != "0" {
		t.Errorf("%s rows by hand, although the path is another by now", got)
	}
}

func TestRepair_EverythingIsLookedAtAgainRightBefore(t *testing.T) {
	for name, test := range map[string]struct{ change, want string }{
		"a row of GitLab's":   {`INSERT INTO container_repositories (project_id, name, created_at, updated_at) SELECT id, 'lost', now(), now() FROM projects`, "skipped: it has a row by now"},
		"a clean-up policy":   {`INSERT INTO container_expiration_policies (project_id, created_at, updated_at, enabled) SELECT id, now(), now(), true FROM projects`, "skipped: refused: cleanup-policy"},
		"a redirect":          {`INSERT INTO redirect_routes (source_id, source_type, path, created_at, updated_at) VALUES (4711, 'Project', 'group/app-a/lost', now(), now())`, "skipped: refused: reused-path"},
		"a rename":            {`UPDATE routes SET path = 'Group/else' WHERE source_type = 'Project'`, "skipped: refused: renamed"},
		"its project is gone": {`DELETE FROM project_features; DELETE FROM routes WHERE source_type = 'Project'; DELETE FROM projects`, "skipped: refused: no-project, registry-disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lost(t, 1)
			p := s.plan(t)
			o := s.apply(t, p.ID)
			s.Exec(t, test.change)
			before := s.gitlabs(t)
			s.restore(t, o, 1)
			if got := s.first(t, p.ID); !strings.HasPrefix(got, strings.SplitN(test.want, ",", 2)[0]) {
				t.Errorf("the item is %s, want %s", got, test.want)
			}
			if got := s.gitlabs(t); got != before {
				t.Errorf("GitLab's tables were changed:\n%s", got)
			}
		})
	}
}

func TestRepair_NothingIsInsertedWithoutRight(t *testing.T) {
	for name, test := range map[string]struct {
		change string
		want   error
	}{
		"the flag went off":       {`UPDATE regmend.settings SET value = 'false'`, postgres.ErrRepairDisabled},
		"another run was begun":   {`INSERT INTO regmend.runs (reason, registry, system_identifier, scan_number) VALUES ('x', 'x', 'x', 2000)`, postgres.ErrRunChanged},
		"the order was stopped":   {`UPDATE regmend.repair_plans SET stopped = 'x'`, postgres.ErrOrderOver},
		"another order was given": {`UPDATE regmend.repair_plans SET order_id = (SELECT min(id) FROM regmend.repair_audit)`, postgres.ErrOrderOver},
		"it is to be undone":      {`UPDATE regmend.repair_plans SET state = 'undoing'`, postgres.ErrOrderOver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lost(t, 1)
			o := s.apply(t, s.plan(t).ID)
			s.Exec(t, test.change)
			if _, err := s.DB.Restore(t.Context(), s.run, o, 1); !errors.Is(err, test.want) {
				t.Errorf("Restore() = %v, want %v", err, test.want)
			}
			if got := s.Value(t, `SELECT count(*) FROM container_repositories`); got != "0" {
				t.Errorf("%s rows were inserted", got)
			}
		})
	}
}

func TestRepair_AnUnknownTableIsRefused(t *testing.T) {
	s := lost(t, 1)
	if differences, err := s.DB.Fingerprint(t.Context()); err != nil || len(differences) > 0 {
		t.Fatalf("Fingerprint() = %q, %v", differences, err)
	}
	o := s.apply(t, s.plan(t).ID)
	s.Exec(t, `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`)
	for name, test := range map[string]struct{ change, back, want string }{
		"a column more":   {`ALTER TABLE container_repositories ADD COLUMN more int`, `ALTER TABLE container_repositories DROP COLUMN more`, "unknown: column more: integer"},
		"another default": {`ALTER TABLE container_repositories ALTER COLUMN status SET DEFAULT 1`, `ALTER TABLE container_repositories ALTER COLUMN status DROP DEFAULT`, "unknown: column status: smallint default 1"},
		"a constraint":    {`ALTER TABLE container_repositories ADD CONSTRAINT c CHECK (name <> 'x')`, `ALTER TABLE container_repositories DROP CONSTRAINT c`, "unknown: constraint c: CHECK"},
		"a trigger":       {`CREATE TRIGGER g BEFORE INSERT ON container_repositories FOR EACH ROW EXECUTE FUNCTION f()`, `DROP TRIGGER g ON container_repositories`, "unknown: trigger g: CREATE TRIGGER"},
		"a rule":          {`CREATE RULE r AS ON DELETE TO container_repositories DO ALSO NOTHING`, `DROP RULE r ON container_repositories`, "rules"},
		"row security":    {`ALTER TABLE container_repositories ENABLE ROW LEVEL SECURITY`, `ALTER TABLE container_repositories DISABLE ROW LEVEL SECURITY`, "row security"},
		"another index":   {`CREATE UNIQUE INDEX u ON container_repositories (name)`, `DROP INDEX u`, "unknown: unique index u"},
		"no unique index": {
			`DROP INDEX index_container_repositories_on_project_id_and_name`,
			`CREATE UNIQUE INDEX index_container_repositories_on_project_id_and_name ON container_repositories (project_id, name)`,
			"lacking: unique index index_container_repositories_on_project_id_and_name",
		},
	} {
		s.Exec(t, test.change)
		_, err := s.DB.Restore(t.Context(), s.run, o, 1)
		var cannot *postgres.CannotRepairError
		if !errors.As(err, &cannot) || !strings.Contains(cannot.Reason, test.want) {
			t.Errorf("%s: Restore() = %v, want to be told %q", name, err, test.want)
		}
		s.Exec(t, test.back)
	}
	if d := s.restore(t, o, 1); d.State != postgres.ItemApplied {
		t.Errorf("Restore() into the table that is known = %+v", d)
	}
}
