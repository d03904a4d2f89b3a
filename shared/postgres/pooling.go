package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// Pooling is what lies between here and the server.
type Pooling string

const (
	// PoolingTransaction says that a pooler gives each transaction any server process.
	PoolingTransaction Pooling = "transaction"
	// PoolingNone says that there is no pooler, or one that keeps sessions apart.
	PoolingNone Pooling = "none or session"
	// PoolingUnknown says that it could not be told.
	PoolingUnknown Pooling = "unknown"
)

const (
	poolingTries   = 3
	poolingTimeout = 2 * time.Second
	selectProcess  = `SELECT pg_backend_pid()`
)

// pooling tells by a connection of ours that changes its server process: a
// session keeps it for life. One connection is held in a transaction, which
// pushes the other to a second process; once it is over, a pooler hands out
// the process last used, the first one.
func (db *DB) pooling(ctx context.Context) Pooling {
	ctx, cancel := context.WithTimeout(ctx, poolingTimeout)
	defer cancel()
	conn, err := db.sql.Connx(ctx)
	if err != nil {
		return PoolingUnknown
	}
	// It goes back into the pool; a failure to do so is the pool's affair.
	defer func() { _ = conn.Close() }()
	for range poolingTries {
		var during, after int
		err := db.transact(ctx, nil, func(tx *sqlx.Tx) error {
			var other int
			if err := tx.GetContext(ctx, &other, selectProcess); err != nil {
				return err
			}
			return conn.GetContext(ctx, &during, selectProcess)
		})
		if err != nil {
			return PoolingUnknown
		}
		if err := conn.GetContext(ctx, &after, selectProcess); err != nil {
			return PoolingUnknown
		}
		if during != after {
			return PoolingTransaction
		}
	}
	return PoolingNone
}
