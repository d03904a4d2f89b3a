package postgres_test

import (
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/jmoiron/sqlx"
)

// Via GitLab the row is there afterwards, and is journalled.
func TestRepair_WhatGitLabMadeIsJournalled(t *testing.T) {
	insert := func(db *sqlx.DB, at string) {
		db.MustExec(`INSERT INTO container_repositories (project_id, name, created_at, updated_at)
			SELECT id, 'lost', (` + at + `) AT TIME ZONE 'utc', (` + at + `) AT TIME ZONE 'utc' FROM projects`)
	}
	for name, test := range map[string]struct {
		made  string // when, by the row; "" not at all
		again bool   // the process died before it saw the row
		want  postgres.ItemState
		undo  postgres.ItemState
	}{
		"made":               {"clock_timestamp()", false, postgres.ItemApplied, postgres.ItemUndone},
		"not made":           {"", false, postgres.ItemFailed, ""},
		"made too early":     {"clock_timestamp() - interval '1 minute'", false, postgres.ItemApplied, postgres.ItemKept},
		"made after a death": {"clock_timestamp()", true, postgres.ItemApplied, postgres.ItemKept},
		"made before that":   {"clock_timestamp() - interval '1 minute'", true, postgres.ItemSkipped, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lost(t, 1)
			o, err := s.DB.Begin(t.Context(), s.run, postgres.Order{Plan: s.plan(t).ID, Action: postgres.ActionApply, Via: postgres.ViaGitLab}, operator)
			if err != nil {
				t.Fatal(err)
			}
			asked, err := s.DB.Ask(t.Context(), s.run, o, 1)
			if err != nil || asked.State != postgres.ItemOpen || asked.At.IsZero() {
				t.Fatalf("Ask() = %+v, %v", asked, err)
			}
			if test.made != "" {
				insert(s.SQL, test.made)
			}
			var d postgres.Decided
			if test.again {
				asked, err = s.DB.Ask(t.Context(), s.run, o, 1)
				d = asked.Decided
			} else {
				d, err = s.DB.Found(t.Context(), s.run, o, 1, asked.At)
			}
			if err != nil || d.State != test.want || (d.Row != 0) != (test.want == postgres.ItemApplied) {
				t.Fatalf("the item is %+v, %v, want it %s", d, err, test.want)
			}
			if test.undo == "" {
				return
			}
			if d := s.remove(t, s.order(t, o.Plan, postgres.ActionUndo), 1); d.State != test.undo {
				t.Errorf("Remove() = %+v, want it %s", d, test.undo)
			}
		})
	}
	t.Run("GitLab is not asked for what must not be", func(t *testing.T) {
		s := lost(t, 1)
		o := s.apply(t, s.plan(t).ID)
		s.Exec(t, `UPDATE project_features SET container_registry_access_level = 0`)
		asked, err := s.DB.Ask(t.Context(), s.run, o, 1)
		if err != nil || asked.State != postgres.ItemSkipped || !strings.Contains(asked.Reason, string(gitlab.RefusedRegistry)) {
			t.Errorf("Ask() = %+v, %v", asked, err)
		}
	})
}
