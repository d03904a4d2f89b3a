package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

var (
	// ErrStandby says that the server that answered is a standby, or read-only:
	// nothing it says may be believed, nothing can be written.
	ErrStandby = errors.New("the database that answers is a standby or read-only; regmend needs the primary")

	// ErrRunChanged says that the database's current run is not the one worked
	// for, or that the database was set back to before its results.
	ErrRunChanged = errors.New("the database knows another run, or was restored; see `regmend run`")

	// ErrNoSchema says that regmend's tables are not there.
	ErrNoSchema = errors.New("this database has no schema regmend, or only part of it: run `regmend migrate`")
)

// fault says in err what was being done and translates what the driver says
// into this package's errors. nil stays nil.
func (db *DB) fault(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	case readOnly(err):
		return fmt.Errorf("%s: %w", doing, ErrStandby)
	case undefined(err) && !db.hasTables(ctx):
		return fmt.Errorf("%s: %w", doing, ErrNoSchema)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// Away tells whether err is of a database that could not be asked, and may answer
// later, as against one that answered what is not wanted.
func Away(err error) bool {
	var answer *pq.Error
	if errors.As(err, &answer) {
		switch answer.Code.Class() {
		case pqerror.ClassConnectionException, pqerror.ClassInsufficientResources, pqerror.ClassOperatorIntervention, pqerror.ClassSystemError:
			return true
		}
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn)
}

func readOnly(err error) bool {
	return pq.As(err, pqerror.ReadOnlySQLTransaction) != nil
}

func undefined(err error) bool {
	return pq.As(err, pqerror.UndefinedTable, pqerror.InvalidSchemaName) != nil
}

// The catalog answers whatever the role's rights on the schema are.
const selectHasTables = `
SELECT count(*) = 14
FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'regmend')
  AND relname IN ('runs', 'data_repair_details', 'missing_repositories', 'settings', 'settings_history', 'scan_number',
                  'sweeps', 'sweep_projects', 'sweep_candidates', 'sweep_sample', 'unowned_repositories',
                  'snapshots', 'snapshot_contents', 'shrinkage', 'repair_plans', 'repair_items', 'repair_audit')`

// hasTables tells whether regmend's tables are there; where that cannot be
// asked, it says so.
func (db *DB) hasTables(ctx context.Context) bool {
	var has bool
	err := db.sql.GetContext(ctx, &has, selectHasTables)
	return err != nil || has
}

// refused tells whether the database could not take a value (SQLSTATE classes
// 22 and 23; 54 of one that is too long for an index), as against being unable to
// work.
func refused(err error) bool {
	var answer *pq.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code.Class() {
	case pqerror.ClassDataException, pqerror.ClassIntegrityConstraintViolation, pqerror.ClassProgramLimitExceeded:
		return true
	}
	return false
}

// lockNotAvailable tells whether a statement gave up waiting for a lock.
func lockNotAvailable(err error) bool {
	return pq.As(err, pqerror.LockNotAvailable) != nil
}
