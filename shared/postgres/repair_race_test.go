package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
)

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
