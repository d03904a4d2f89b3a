package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/sirupsen/logrus"
)

// The foreign key costs GitLab a lock on projects that waits for every open
// transaction, and behind which every writer of projects waits in turn. So it
// waits a tenth of a second at a time. Checking the rows that are there is a
// step of its own, which no writer of projects waits for.
const (
	lockTimeout = `SET LOCAL lock_timeout = '100ms'`

	addForeignKey = `
ALTER TABLE regmend.data_repair_details
    ADD CONSTRAINT data_repair_details_project_id_fkey
    FOREIGN KEY (project_id) REFERENCES public.projects (id) ON DELETE CASCADE NOT VALID`

	validateForeignKey = `
ALTER TABLE regmend.data_repair_details VALIDATE CONSTRAINT data_repair_details_project_id_fkey`

	removeForeignKey = `
ALTER TABLE regmend.data_repair_details DROP CONSTRAINT IF EXISTS data_repair_details_project_id_fkey`

	deleteAllOrphans = `
DELETE FROM regmend.data_repair_details d
WHERE NOT EXISTS (SELECT FROM public.projects p WHERE p.id = d.project_id)`

	selectForeignKey = `
SELECT k.convalidated
FROM pg_constraint k
JOIN pg_class t ON t.oid = k.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = 'regmend' AND t.relname = 'data_repair_details'
  AND k.conname = 'data_repair_details_project_id_fkey'`
)

// HasForeignKey tells whether results go with their projects by themselves.
func (db *DB) HasForeignKey(ctx context.Context) (bool, error) {
	present, _, err := db.foreignKey(ctx)
	return present, err
}

// foreignKey tells whether the foreign key is there, and whether it holds for
// every row.
func (db *DB) foreignKey(ctx context.Context) (present, valid bool, err error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	err = db.sql.GetContext(ctx, &valid, selectForeignKey)
	if errors.Is(err, sql.ErrNoRows) {
		return false, false, nil
	}
	return err == nil, valid, db.fault(ctx, "look for the foreign key", err)
}

func (db *DB) makeForeignKey(ctx context.Context, log logrus.FieldLogger) error {
	present, valid, err := db.foreignKey(ctx)
	if err != nil || valid {
		return err
	}
	if !present {
		err := db.underLock(ctx, log, addForeignKey)
		// It was waited for without the lock on migrations: another one that
		// waited as well may have been first.
		if err != nil && pq.As(err, pqerror.DuplicateObject) == nil {
			return fmt.Errorf("make the foreign key to projects: %w", err)
		}
	}
	// Without the key, projects may have been deleted under their results.
	if err := db.inTransaction(ctx, allowLong, deleteAllOrphans); err != nil {
		return db.fault(ctx, "drop orphans", err)
	}
	if err := db.underLock(ctx, log, allowLong, validateForeignKey); err != nil {
		return fmt.Errorf("validate the foreign key to projects: %w", err)
	}
	log.Info("foreign key to projects made and validated")
	return nil
}

func (db *DB) dropForeignKey(ctx context.Context, log logrus.FieldLogger) error {
	present, _, err := db.foreignKey(ctx)
	if err != nil || !present {
		return err
	}
	if err := db.underLock(ctx, log, removeForeignKey); err != nil {
		return fmt.Errorf("remove the foreign key to projects: %w", err)
	}
	log.Info("foreign key to projects removed")
	return nil
}

const (
	lockTries     = 30
	firstLockWait = 200 * time.Millisecond
	longestWait   = 5 * time.Second
)

// underLock runs statements in one transaction that waits only briefly for a
// lock, again and again for about two minutes.
func (db *DB) underLock(ctx context.Context, log logrus.FieldLogger, statements ...string) error {
	statements = append([]string{lockTimeout}, statements...)
	wait := firstLockWait
	for try := 1; ; try++ {
		err := db.inTransaction(ctx, statements...)
		switch {
		case !lockNotAvailable(err):
			return db.fault(ctx, "alter tables", err)
		case try == lockTries:
			return fmt.Errorf("a lock on projects was not to be had in %d tries; try again when GitLab is less busy, or use --no-foreign-key: %w", try, err)
		}
		log.WithFields(logrus.Fields{"attempt": try, "wait": wait}).Warn("projects is in use; trying again")
		// Jitter, so as not to meet the same periodic transaction each time.
		if err := sleep(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
		wait = min(2*wait, longestWait)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
