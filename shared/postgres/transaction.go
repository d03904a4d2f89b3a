package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

func openDB(connector driver.Connector) *sql.DB { return sql.OpenDB(connector) }

// transact runs work in one transaction: committed if it returns nil, rolled
// back otherwise. The error of a commit leaves open whether it took place.
func (db *DB) transact(ctx context.Context, options *sql.TxOptions, work func(tx *sqlx.Tx) error) error {
	tx, err := db.sql.BeginTxx(ctx, options)
	// The driver begins with READ WRITE, which a standby does not support.
	if pq.As(err, pqerror.FeatureNotSupported) != nil {
		return ErrStandby
	}
	if err != nil {
		return err
	}
	if err := work(tx); err != nil {
		// The rollback can only fail where the connection is gone, and the
		// transaction with it.
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// inTransaction runs statements without parameters in one transaction.
func (db *DB) inTransaction(ctx context.Context, statements ...string) error {
	return db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// allowLong is for a transaction that reads whole tables: with tens of millions
// of projects that takes longer than the minute a GitLab gives a statement.
const allowLong = `SET LOCAL statement_timeout = '30min'`

// Locks that end with their transaction, in the space of two-key advisory
// locks, which GitLab does not use.
const (
	lockSpace     = 0x7265676d // "regm"
	lockRun       = 1          // shared by writers of results, exclusive for a new run
	lockMigration = 2
	lockSnapshots = 3 // shared by who writes or cites versions, exclusive for removing some
)

const (
	takeLock         = `SELECT pg_advisory_xact_lock($1, $2)`
	takeWritersLocks = `SELECT pg_advisory_xact_lock_shared($1, $2), pg_advisory_xact_lock_shared($1, $3)`
)
