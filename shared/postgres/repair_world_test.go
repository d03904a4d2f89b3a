package postgres_test

import (
	"slices"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

// operator is who gives orders in tests.
var operator = postgres.Who{Actor: "alice", Host: "console", Reason: "a test"}

// lost is a suite of which each project misses a repository "lost" that is younger
// than it, so that nothing speaks against restoring it.
func lost(t *testing.T, projects int) *suite {
	t.Helper()
	s := newSuite(t, projects)
	for i := range s.projects {
		s.write(t, s.completed(i, 1, "lost"))
	}
	s.Exec(t, `UPDATE projects SET created_at = '2020-01-01'`)
	s.Exec(t, `UPDATE regmend.missing_repositories SET created_at = '2021-01-01Z'`)
	s.Exec(t, `INSERT INTO regmend.settings (key, value) VALUES ('repair_enabled', 'true')`)
	return s
}

func (s *suite) plan(t *testing.T, accepted ...gitlab.Refusal) postgres.Plan {
	t.Helper()
	p, err := s.DB.MakePlan(t.Context(), s.run, postgres.PlanScope{Accepted: accepted}, operator)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *suite) order(t *testing.T, plan int64, action string) postgres.Order {
	t.Helper()
	o, err := s.DB.Begin(t.Context(), s.run, postgres.Order{Plan: plan, Action: action, Via: postgres.ViaSQL}, operator)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (s *suite) apply(t *testing.T, plan int64) postgres.Order {
	t.Helper()
	return s.order(t, plan, postgres.ActionApply)
}

func (s *suite) restore(t *testing.T, o postgres.Order, number int) postgres.Decided {
	t.Helper()
	d, err := s.DB.Restore(t.Context(), s.run, o, number)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (s *suite) remove(t *testing.T, o postgres.Order, number int) postgres.Decided {
	t.Helper()
	d, err := s.DB.Remove(t.Context(), s.run, o, number)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// restored is a suite with one lost repository, put back, and the order to undo it.
func restored(t *testing.T) (s *suite, undo postgres.Order) {
	t.Helper()
	s = lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	if d := s.restore(t, o, 1); d.State != postgres.ItemApplied {
		t.Fatalf("Restore() = %+v", d)
	}
	return s, s.order(t, o.Plan, postgres.ActionUndo)
}

func (s *suite) items(t *testing.T, plan int64) []postgres.Item {
	t.Helper()
	var items []postgres.Item
	if err := s.DB.Items(t.Context(), plan, func(i postgres.Item) error { items = append(items, i); return nil }); err != nil {
		t.Fatal(err)
	}
	return items
}

// gitlabs is everything in GitLab's tables.
func (s *suite) gitlabs(t *testing.T) string {
	t.Helper()
	return s.Value(t, `
SELECT jsonb_build_object(
    'projects', (SELECT jsonb_agg(p ORDER BY p.id) FROM projects p),
    'routes', (SELECT jsonb_agg(r ORDER BY r.id) FROM routes r),
    'redirect_routes', (SELECT jsonb_agg(r ORDER BY r.id) FROM redirect_routes r),
    'project_features', (SELECT jsonb_agg(f ORDER BY f.id) FROM project_features f),
    'policies', (SELECT jsonb_agg(e ORDER BY e.project_id) FROM container_expiration_policies e),
    'container_repositories', (SELECT jsonb_agg(c ORDER BY c.id) FROM container_repositories c),
    'ids', (SELECT last_value FROM container_repositories_id_seq))::text`)
}

// first is the state of the plan's first item in the table.
func (s *suite) first(t *testing.T, plan int64) string {
	t.Helper()
	return s.Value(t, `SELECT state || coalesce(': ' || reason, '') FROM regmend.repair_items WHERE plan_id = $1 AND number = 1`, plan)
}

func wantRefusals(t *testing.T, s *suite, plan int64, want ...gitlab.Refusal) {
	t.Helper()
	got := s.items(t, plan)[0].Refusals
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(append([]gitlab.Refusal{}, want...), append([]gitlab.Refusal{}, got...)); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}
