package postgres_test

import (
	"strings"
	"testing"

	"regmend/shared/postgres"
)

func TestRepair_UndoRemovesWhatItInsertedAndNothingElse(t *testing.T) {
	s := lost(t, 2)
	s.Repository(t, s.projects[0].ID, "web")
	before := s.Value(t, `SELECT jsonb_agg(c ORDER BY c.id)::text FROM container_repositories c`)
	o := s.apply(t, s.plan(t).ID)
	s.restore(t, o, 1)
	s.restore(t, o, 2)
	undo := s.order(t, o.Plan, postgres.ActionUndo)
	for n := 1; n <= 2; n++ {
		if d := s.remove(t, undo, n); d.State != postgres.ItemUndone || d.Row == 0 {
			t.Errorf("Remove() = %+v", d)
		}
		if d := s.remove(t, undo, n); d != (postgres.Decided{}) {
			t.Errorf("Remove() again = %+v, want nothing", d)
		}
	}
	if got := s.Value(t, `SELECT jsonb_agg(c ORDER BY c.id)::text FROM container_repositories c`); got != before {
		t.Errorf("rows are\n%s\nwere\n%s", got, before)
	}
	if _, err := s.DB.Begin(t.Context(), s.run, postgres.Order{Plan: o.Plan, Action: postgres.ActionApply, Via: postgres.ViaSQL}, operator); err == nil {
		t.Error("a plan that was undone can be applied again")
	}
}

func TestRepair_UndoKeepsWhatSomebodyTouched(t *testing.T) {
	const refer = `CREATE TABLE states (id int PRIMARY KEY, repository_id bigint REFERENCES container_repositories ON DELETE `
	for name, test := range map[string]struct{ change, want string }{
		"changed":                  {`UPDATE container_repositories SET status = 0`, "the row was changed since: status"},
		"touched":                  {`UPDATE container_repositories SET updated_at = updated_at + interval '1 second'`, "the row was changed since: updated_at"},
		"removed":                  {`DELETE FROM container_repositories`, "the row is gone"},
		"referred to":              {refer + `NO ACTION); INSERT INTO states SELECT 1, id FROM container_repositories`, "public.states refers to it"},
		"referred to, going along": {refer + `CASCADE); INSERT INTO states SELECT 1, id FROM container_repositories`, "public.states refers to it"},
		"of a doubtful origin":     {`UPDATE regmend.repair_items SET doubt = 'it may be of a push'`, "it may be of a push"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, undo := restored(t)
			s.Exec(t, test.change)
			before := s.gitlabs(t)
			if d := s.remove(t, undo, 1); d.State != postgres.ItemKept || !strings.Contains(d.Reason, test.want) {
				t.Errorf("Remove() = %+v, want it kept: %s", d, test.want)
			}
			if got := s.gitlabs(t); got != before {
				t.Errorf("GitLab's tables were changed:\n%s", got)
			}
			if got := s.first(t, undo.Plan); !strings.HasPrefix(got, "kept: ") {
				t.Errorf("the item is %s", got)
			}
		})
	}
}
