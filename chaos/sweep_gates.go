package main

import (
	"context"
	"errors"
	"math/rand/v2"

	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
)

// gate is a place within a step of a sweep at which it can be stopped (log.sql).
type gate int

const (
	gateKept   gate = 1 // the projects are kept, the walk is to begin
	gatePage   gate = 2 // a page has been judged, the position is to move on
	gateWalked gate = 3 // the last page has been judged
	gateCursor gate = 4 // results of a part of the projects are written
)

// meetSweep stops a sweep at a gate while do is done.
func (in *installation) meetSweep(ctx context.Context, g gate, do func(s sweep) error) error {
	tx, err := in.database.sql.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // only its lock was wanted
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7001, $1)`, int(g)); err != nil {
		return err
	}
	return in.awaitGate(ctx, tx, do)
}

func (in *installation) awaitGate(ctx context.Context, tx *sqlx.Tx, do func(s sweep) error) error {
	var at sweep
	blocks := blocking(tx)
	err := in.sweepUntil(ctx, "a sweep stands at a gate", func(s sweep, _ bool) bool {
		at = s
		stands, err := blocks(ctx)
		return err == nil && stands
	})
	if err != nil {
		return err
	}
	return do(at)
}

// loseSweepCommit loses the reply to the COMMIT of a page, and of whatever else
// is committed at the same moment.
func loseSweepCommit(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	d, few := in.database, 3
	before := d.proxy.Lost()
	defer d.proxy.LoseReply("COMMIT", 0)
	err := in.meetSweep(ctx, gatePage, func(sweep) error {
		d.proxy.LoseReply("COMMIT", few)
		return nil
	})
	if err == nil {
		err = servers.Await(ctx, "replies to COMMIT are lost", meetLimit, func(context.Context) (bool, error) {
			return d.proxy.Lost() >= before+few, nil
		})
	}
	if err != nil {
		return healed{}, err
	}
	return in.cured(ctx)
}

const terminateBlocked = `
SELECT count(pg_terminate_backend(pid)) FROM pg_locks
WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`

// terminateSweep ends the server process of a step that has judged a page, and
// has not committed it.
func terminateSweep(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	tx, err := in.database.sql.BeginTxx(ctx, nil)
	if err != nil {
		return healed{}, err
	}
	defer func() { _ = tx.Rollback() }() // only its lock was wanted
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7001, $1)`, int(gatePage)); err != nil {
		return healed{}, err
	}
	err = in.awaitGate(ctx, tx, func(sweep) error {
		var n int
		err := tx.GetContext(ctx, &n, terminateBlocked)
		if err == nil && n == 0 {
			err = errors.New("nobody stands at the gate any more")
		}
		return err
	})
	if err := errors.Join(err, tx.Rollback()); err != nil {
		return healed{}, err
	}
	return in.cured(ctx)
}
