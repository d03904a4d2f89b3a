package postgres_test

import (
	"strings"
	"testing"

	"regmend/shared/postgres"
)

// An undo waits for the items that are being inserted, and none is inserted after
// it has begun.
func TestRepair_AnOrderMakesTheOneBeforeVoid(t *testing.T) {
	s := lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	working := s.SQL.MustBegin()
	working.MustExec(`SELECT FROM regmend.repair_plans FOR SHARE`)
	begun := make(chan postgres.Order)
	go func() {
		undo, err := s.DB.Begin(t.Context(), s.run, postgres.Order{Plan: o.Plan, Action: postgres.ActionUndo}, operator)
		if err != nil {
			t.Errorf("Begin() = %v", err)
		}
		begun <- undo
	}()
	s.blocked(t)
	if err := working.Commit(); err != nil {
		t.Fatal(err)
	}
	undo := <-begun
	if _, err := s.DB.Restore(t.Context(), s.run, o, 1); err == nil {
		t.Error("an item was restored after undo had begun")
	}
	if err := s.DB.Leave(t.Context(), o, 1, postgres.ItemFailed, "late"); err != nil || s.first(t, o.Plan) != "open" {
		t.Errorf("an item of a void order was decided, %v", err)
	}
	if spans, err := s.DB.Spans(t.Context(), undo, 10); err != nil || len(spans) > 0 {
		t.Errorf("Spans() = %v, %v, want nothing to undo", spans, err)
	}
}

func TestRepair_WhatFailedIsTriedAgainAndOnlyThat(t *testing.T) {
	s := lost(t, 4)
	o := s.apply(t, s.plan(t).ID)
	s.restore(t, o, 1)
	for n, state := range map[int]postgres.ItemState{2: postgres.ItemFailed, 3: postgres.ItemSkipped} {
		if err := s.DB.Leave(t.Context(), o, n, state, "a test"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DB.Leave(t.Context(), o, 1, postgres.ItemFailed, "late"); err != nil || s.first(t, o.Plan) != "applied" {
		t.Errorf("an item that was applied failed afterwards, %v", err)
	}
	if p, err := s.DB.Plan(t.Context(), o.Plan); err != nil || p.Counts.Planned() != 4 || p.Counts != (postgres.RepairCounts{Open: 1, Applied: 1, Skipped: 1, Failed: 1, Unverified: 1}) {
		t.Errorf("counts = %+v, %v", p.Counts, err)
	}
	again := s.apply(t, o.Plan)
	spans, err := s.DB.Spans(t.Context(), again, 2)
	if err != nil || len(spans) != 2 || spans[0] != (postgres.Span{From: 1, To: 2}) || spans[1] != (postgres.Span{From: 4, To: 4}) {
		t.Errorf("Spans() = %v, %v, want 1 (to be verified), 2 and 4", spans, err)
	}
	order, items, err := s.DB.Work(t.Context(), o.Plan, again.ID, postgres.Span{From: 1, To: 4})
	if err != nil || len(items) != 3 || order.Action != postgres.ActionApply || order.Via != postgres.ViaSQL {
		t.Errorf("Work() = %+v, %v, %v", order, items, err)
	}
	if _, _, err := s.DB.Work(t.Context(), o.Plan, o.ID, postgres.Span{From: 1, To: 4}); err == nil {
		t.Error("the order before is still carried out")
	}
	next := s.Run(t)
	if _, err := s.DB.Begin(t.Context(), next, again, operator); err == nil || !strings.Contains(err.Error(), "make a new plan") {
		t.Errorf("Begin() in another run = %v", err)
	}
	if _, err := s.DB.Begin(t.Context(), next, postgres.Order{Plan: o.Plan, Action: postgres.ActionUndo}, operator); err != nil {
		t.Errorf("Begin() to undo in another run = %v", err)
	}
}

func TestRepair_TheAuditIsOnlyEverAddedTo(t *testing.T) {
	s, _ := restored(t)
	for _, change := range []string{`UPDATE regmend.repair_audit SET reason = 'x'`, `DELETE FROM regmend.repair_audit`, `TRUNCATE regmend.repair_audit CASCADE`} {
		if _, err := s.SQL.Exec(change); err == nil || !strings.Contains(err.Error(), "only ever added to") {
			t.Errorf("%s: %v", change, err)
		}
	}
	if _, err := s.DB.EnableRepair(t.Context(), false, operator); err != nil {
		t.Fatal(err)
	}
	entries, err := s.DB.RepairAudit(t.Context(), 0, 10)
	if err != nil || len(entries) != 4 {
		t.Fatalf("RepairAudit() = %+v, %v", entries, err)
	}
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
		if e.Actor != "alice" || e.Host != "console" || e.Reason != "a test" || e.At.IsZero() || e.Role == "" || e.What == "" {
			t.Errorf("%+v does not say who, when and why", e)
		}
	}
	if got := strings.Join(actions, " "); got != "disable undo apply plan" {
		t.Errorf("actions = %s", got)
	}
}

func TestRepair_ASnapshotThatIsStillNeededIsCited(t *testing.T) {
	s := lost(t, 1)
	s.Exec(t, `UPDATE regmend.data_repair_details SET snapshot = 7`)
	cited := func() string {
		return s.Value(t, `SELECT `+postgres.CitedByRepair+` FROM (SELECT $1::bigint AS project_id, 7 AS number) AS v`, s.projects[0].ID)
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"before", func() {}, "false"},
		{"planned", func() { s.plan(t) }, "true"},
		{"planned in another run", func() { s.run = s.Run(t) }, "false"},
	} {
		if step.do(); cited() != step.want {
			t.Errorf("%s: cited = %s", step.what, cited())
		}
	}
	s, undo := restored(t)
	s.Exec(t, `UPDATE regmend.repair_items SET snapshot = 7`)
	if cited() != "true" {
		t.Error("an undoable repair's snapshot is not cited")
	}
	if s.remove(t, undo, 1); cited() != "false" {
		t.Error("what was undone is cited")
	}
}
