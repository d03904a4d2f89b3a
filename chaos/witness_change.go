package main

import (
	"context"
	"errors"
	"time"

	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
)

// change runs do in a transaction on the primary, and notes what became of the
// projects.
func (w *witness) change(ctx context.Context, ids []int64, do func(*sqlx.Tx) error) error {
	return w.changeAll(ctx, func() []int64 { return ids }, do)
}

// changeAll is for changes that say only in the end which projects they are of.
func (w *witness) changeAll(ctx context.Context, ids func() []int64, do func(*sqlx.Tx) error) error {
	tx, err := w.in.database.sql.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no-op after the commit
	if err := do(tx); err != nil {
		return err
	}
	began := time.Now()
	committed := tx.Commit() // the reply may be lost of one that took place
	noted := servers.Await(context.WithoutCancel(ctx), "what became of projects is noted", 2*time.Minute, func(ctx context.Context) (bool, error) {
		err := w.truth.changed(ctx, w.in.database.sql, ids(), began)
		return err == nil, err
	})
	return errors.Join(committed, noted)
}

// completedSince tells whether a scan that began after the number has a completed
// result in the table, of any project.
func (w *witness) completedSince(scan int64, epoch int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.writes) - 1; i >= 0; i-- {
		found := w.writes[i]
		if found.Epoch != epoch {
			return false
		}
		if found.New.Status == completed && found.New.Scan > scan {
			return true
		}
	}
	return false
}

const completed = "completed"

// lastNumber is the scan number given out last, read now.
func (w *witness) lastNumber(ctx context.Context) (last int64, epoch int, err error) {
	err = w.in.database.sql.GetContext(ctx, &last, `SELECT last_value FROM regmend.scan_number`)
	return last, w.epochNow(), err
}

var errNotYet = errors.New("no result of a later scan is in the table yet")
