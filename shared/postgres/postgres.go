// Package postgres is the only door to the database that holds GitLab's
// projects and regmend's results: every SQL statement is here, and nothing
// outside knows the driver.
//
// All of it works through a PgBouncer that pools transactions: names are
// qualified, nothing is kept in a session, no statement is prepared, and locks
// end with their transaction.
package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// DB is a pool of connections. It is safe for concurrent use.
type DB struct {
	sql    *sqlx.DB
	chunks chunks
}

const (
	applicationName = "regmend"
	connectTimeout  = 5 * time.Second
	// A process needs few connections: its statements carry whole batches.
	maxConnections = 8
	maxIdleTime    = 5 * time.Minute
	// Behind a failover or a restarted pooler, old connections are dead weight.
	maxLifetime = 30 * time.Minute
)

// errURL says nothing of the value: it holds a password.
var errURL = errors.New("the database URL must look like postgres://user:password@host:5432/database?sslmode=require, with special characters in the password percent-encoded")

// Open makes a pool for a postgres:// URL. It connects at first use.
func Open(url string) (*DB, error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, errURL
	}
	config, err := pq.NewConfig(url)
	if err != nil {
		return nil, errURL
	}
	// One round trip for a statement with parameters: a pooler may give the
	// second one to another server.
	config.BinaryParameters = true
	if config.ApplicationName == "" {
		config.ApplicationName = applicationName
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	return &DB{sql: pool(connector{config}), chunks: usualChunks}, nil
}

// Close closes the pool, waiting for the statements that run.
func (db *DB) Close() error { return db.sql.Close() }

// Ping asks for one round trip to the server.
func (db *DB) Ping(ctx context.Context) error {
	_, err := db.sql.ExecContext(ctx, `SELECT 1`)
	return db.fault(ctx, "reach the database", err)
}

func pool(c connector) *sqlx.DB {
	p := sqlx.NewDb(openDB(c), "postgres")
	p.SetMaxOpenConns(maxConnections)
	p.SetMaxIdleConns(maxConnections)
	p.SetConnMaxIdleTime(maxIdleTime)
	p.SetConnMaxLifetime(maxLifetime)
	return p
}
