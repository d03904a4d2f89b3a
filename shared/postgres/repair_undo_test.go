package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/jmoiron/sqlx"
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

// A row is removed and at the same moment GitLab begins to use it.
func TestRepair_UndoSeesWhatHappensAtTheSameMoment(t *testing.T) {
	const refer = `CREATE TABLE states (id int PRIMARY KEY, repository_id bigint REFERENCES container_repositories ON DELETE `
	for name, test := range map[string]struct{ prepare, change string }{
		"it is changed":                 {`SELECT 1`, `UPDATE container_repositories SET status = 1`},
		"it is referred to":             {refer + `NO ACTION)`, `INSERT INTO states SELECT 1, id FROM container_repositories`},
		"what refers would go along":    {refer + `CASCADE)`, `INSERT INTO states SELECT 1, id FROM container_repositories`},
		"what refers would be changed":  {refer + `SET NULL)`, `INSERT INTO states SELECT 1, id FROM container_repositories`},
		"it is deleted":                 {`SELECT 1`, `DELETE FROM container_repositories`},
		"it is replaced by another one": {`SELECT 1`, `WITH d AS (DELETE FROM container_repositories RETURNING *) SELECT 1 FROM d`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, undo := restored(t)
			s.Exec(t, test.prepare)
			theirs := s.SQL.MustBegin()
			theirs.MustExec(test.change)
			result := make(chan postgres.Decided, 1)
			go func() {
				d, err := s.DB.Remove(t.Context(), s.run, undo, 1)
				if err != nil {
					t.Errorf("Remove() = %v", err)
				}
				result <- d
			}()
			s.blocked(t)
			if err := theirs.Commit(); err != nil {
				t.Fatal(err)
			}
			before := s.gitlabs(t)
			if d := <-result; d.State != postgres.ItemKept {
				t.Errorf("Remove() = %+v, want it kept", d)
			}
			if got := s.gitlabs(t); got != before {
				t.Errorf("GitLab's tables were changed:\n%s", got)
			}
			if strings.Contains(test.prepare, "states") {
				if got := s.Value(t, `SELECT count(*) FROM states s JOIN container_repositories c ON c.id = s.repository_id`); got != "1" {
					t.Errorf("%s rows refer to it, want 1", got)
				}
			}
		})
	}
}

// blocked waits until a statement waits for a lock.
func (s *suite) blocked(t *testing.T) {
	t.Helper()
	s.waiting(t, 1)
}

// waiting waits until so many statements wait for locks.
func (s *suite) waiting(t *testing.T, n int) {
	t.Helper()
	until(t, "statements to wait for locks", func() bool {
		return s.Value(t, `SELECT count(*) >= $1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, n) == "true"
	})
}

// GitLab inserts the row between the look at it and the insert.
func TestRepair_ARowThatGitLabInsertsAtTheSameMomentIsGitLabs(t *testing.T) {
	s := lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	theirs := s.SQL.MustBegin()
	theirs.MustExec(`INSERT INTO container_repositories (project_id, name, created_at, updated_at) SELECT id, 'lost', now(), now() FROM projects`)
	result := make(chan postgres.Decided, 1)
	go func() {
		d, err := s.DB.Restore(t.Context(), s.run, o, 1)
		if err != nil {
			t.Errorf("Restore() = %v", err)
		}
		result <- d
	}()
	s.blocked(t)
	if err := theirs.Commit(); err != nil {
		t.Fatal(err)
	}
	if d := <-result; d.State != postgres.ItemSkipped || d.Row != 0 {
		t.Errorf("Restore() = %+v, want it skipped", d)
	}
	before := s.gitlabs(t)
	undo := s.order(t, o.Plan, postgres.ActionUndo)
	if d := s.remove(t, undo, 1); d != (postgres.Decided{}) || s.gitlabs(t) != before {
		t.Errorf("Remove() = %+v, want GitLab's row left alone", d)
	}
}

// Two workers have the same item, and an order comes in between.
func TestRepair_TwoWorkersInsertOnce(t *testing.T) {
	s := lost(t, 20)
	o := s.apply(t, s.plan(t).ID)
	outcomes := make(chan postgres.Decided, 60)
	for range 3 {
		go func() {
			for n := 1; n <= 20; n++ {
				d, err := s.DB.Restore(context.WithoutCancel(t.Context()), s.run, o, n)
				if err != nil {
					t.Errorf("Restore() = %v", err)
				}
				outcomes <- d
			}
		}()
	}
	applied := 0
	for range 60 {
		if d := <-outcomes; d.State == postgres.ItemApplied {
			applied++
		}
	}
	p, err := s.DB.Plan(t.Context(), o.Plan)
	if err != nil || applied != 20 || p.Counts.Applied != 20 || s.Value(t, `SELECT count(*) FROM container_repositories`) != "20" {
		t.Errorf("%d were applied, %+v, %v, want each of 20 once", applied, p.Counts, err)
	}
}

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

// An undo that is ordered while an item is being inserted finds it inserted.
func TestRepair_AnUndoWaitsForTheItemsThatAreBeingInserted(t *testing.T) {
	s := lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	theirs := s.SQL.MustBegin()
	theirs.MustExec(`INSERT INTO container_repositories (project_id, name, created_at, updated_at) SELECT id, 'lost', now(), now() FROM projects`)
	restored := make(chan postgres.Decided, 1)
	go func() {
		d, err := s.DB.Restore(t.Context(), s.run, o, 1)
		if err != nil {
			t.Errorf("Restore() = %v", err)
		}
		restored <- d
	}()
	s.waiting(t, 1)
	begun := make(chan postgres.Order, 1)
	go func() {
		undo, err := s.DB.Begin(t.Context(), s.run, postgres.Order{Plan: o.Plan, Action: postgres.ActionUndo}, operator)
		if err != nil {
			t.Errorf("Begin() = %v", err)
		}
		begun <- undo
	}()
	s.waiting(t, 2)
	if err := theirs.Rollback(); err != nil {
		t.Fatal(err)
	}
	if d := <-restored; d.State != postgres.ItemApplied {
		t.Errorf("Restore() = %+v", d)
	}
	if spans, err := s.DB.Spans(t.Context(), <-begun, 10); err != nil || len(spans) != 1 {
		t.Errorf("Spans() = %v, %v, want the one that was inserted", spans, err)
	}
}

func TestRepair_NobodyOfGitLabsIsKeptWaiting(t *testing.T) {
	s := lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	upgrade := s.SQL.MustBegin()
	upgrade.MustExec(`LOCK TABLE container_repositories IN ACCESS EXCLUSIVE MODE`)
	began := time.Now()
	_, err := s.DB.Restore(t.Context(), s.run, o, 1)
	if err == nil || !strings.Contains(err.Error(), postgres.ErrBusyTable.Error()) || time.Since(began) > 10*time.Second {
		t.Errorf("Restore() = %v after %s, want it to give way", err, time.Since(began))
	}
	if err := upgrade.Rollback(); err != nil {
		t.Fatal(err)
	}
	if d := s.restore(t, o, 1); d.State != postgres.ItemApplied {
		t.Errorf("Restore() afterwards = %+v", d)
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

// The project is deleted between the look at it and the insert.
func TestRepair_AProjectDeletedAtTheSameMomentIsAValueThatTheDatabaseRefuses(t *testing.T) {
	s := lost(t, 1)
	o := s.apply(t, s.plan(t).ID)
	theirs := s.SQL.MustBegin()
	theirs.MustExec(`DELETE FROM project_features; DELETE FROM projects`)
	result := make(chan error, 1)
	go func() {
		_, err := s.DB.Restore(t.Context(), s.run, o, 1)
		result <- err
	}()
	s.blocked(t)
	if err := theirs.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !postgres.Refused(err) {
		t.Errorf("Restore() = %v, want it refused", err)
	}
	if got := s.first(t, o.Plan); got != "open" {
		t.Errorf("the item is %s, want what was done with it undone", got)
	}
}

// The connection is cut when the server has replied to the commit: what it did is
// there, and not done again. So it is where the commit itself is lost.
func TestRepair_ALostCommitIsHarmless(t *testing.T) {
	s := lost(t, 4)
	o := s.apply(t, s.plan(t).ID)
	p, url := proxied(t, s.URL)
	db := postgrestest.Open(t, url)
	try := func(work func() (postgres.Decided, error), want postgres.Decided) {
		t.Helper()
		if d, err := work(); err == nil {
			t.Errorf("the commit was answered: %+v", d)
		}
		d, err := work()
		if d.Row = 0; err != nil || d != want {
			t.Errorf("tried again: %+v, %v, want %+v", d, err, want)
		}
	}
	restore := func(n int) func() (postgres.Decided, error) {
		return func() (postgres.Decided, error) { return db.Restore(t.Context(), s.run, o, n) }
	}
	for n := 1; n <= 4; n += 2 {
		p.LoseReply("COMMIT", 1)
		try(restore(n), postgres.Decided{})
		p.LoseRequest("COMMIT", 1)
		try(restore(n+1), postgres.Decided{State: postgres.ItemApplied})
	}
	journalled := `SELECT count(*) || ' ' || (SELECT count(*) FROM regmend.repair_items i JOIN container_repositories c
		ON c.id = i.inserted_id AND to_jsonb(c) = i.inserted) FROM container_repositories`
	if got := s.Value(t, journalled); got != "4 4" {
		t.Errorf("rows and journalled ones = %s, want 4 4", got)
	}
	undo := s.order(t, o.Plan, postgres.ActionUndo)
	for n := 1; n <= 4; n += 2 {
		p.LoseReply("COMMIT", 1)
		try(func() (postgres.Decided, error) { return db.Remove(t.Context(), s.run, undo, n) }, postgres.Decided{})
		p.LoseRequest("COMMIT", 1)
		try(func() (postgres.Decided, error) { return db.Remove(t.Context(), s.run, undo, n+1) }, postgres.Decided{State: postgres.ItemUndone})
	}
	if got := s.Value(t, journalled); got != "0 0" {
		t.Errorf("rows and journalled ones = %s, want none", got)
	}
}
