package main

import (
	"context"
	"math/rand/v2"
	"time"

	"regmend/shared/servers"
)

// postgresKinds are the faults of Postgres and of what stands before it.
func postgresKinds() []kind {
	return []kind{
		{name: "postgres/restart", inject: atWork((*database).restart)},
		{name: "postgres/crash", inject: atWork((*database).crash)},
		{name: "postgres/away-30s", inject: atWork(away(30 * time.Second))},
		{name: "postgres/hung", inject: atWork(hang(12 * time.Second))},
		{name: "postgres/replies-swallowed", inject: atWork((*database).swallowStates)},
		{name: "postgres/terminate", inject: atWork((*database).terminate)},
		{name: "postgres/commit-reply-lost", inject: loseCommit, meets: true},
		{name: "postgres/serialization-failure", inject: refuseToSerialize, meets: true},
		{name: "postgres/deadlock", inject: deadlock, meets: true},
		{name: "postgres/lock-held", inject: atWork(holdLock(5 * time.Second))},
		{name: "postgres/disk-full", inject: fillDisk, meets: true, impossible: cannotMount()},
		{name: "postgres/project-deleted", inject: deleteProjects, meets: true},
		{name: "postgres/project-renamed", inject: renameProjects, meets: true},
		{name: "postgres/standby", inject: landOnStandby},
		{name: "postgres/bouncer-restart", inject: atWork((*database).restartBouncer)},
		{name: "postgres/backup-restored", inject: restoreBackup, meets: true, limit: 2 * usualLimit},
	}
}

// atWork does something to the database while regmend scans, and waits until
// it can be reached again.
func atWork(do func(*database, context.Context, *rand.Rand) error) func(context.Context, *installation, *rand.Rand) (healed, error) {
	return func(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
		if err := in.working(ctx); err != nil {
			return healed{}, err
		}
		if err := do(in.database, ctx, dice); err != nil {
			return healed{}, err
		}
		return in.database.recovered(ctx)
	}
}

func (d *database) restart(ctx context.Context, _ *rand.Rand) error {
	ctx = context.WithoutCancel(ctx)
	if d.primary.Restart(ctx) == nil {
		return nil
	}
	// One that did not stop in time was killed and not started.
	return d.primary.Restart(ctx)
}

// crash leaves recovery to the next start.
func (d *database) crash(ctx context.Context, dice *rand.Rand) error {
	if err := d.primary.Kill(); err != nil {
		return err
	}
	return d.restart(ctx, dice)
}

// away refuses connections, or stops the server behind PgBouncer, which then
// keeps its clients waiting.
func away(long time.Duration) func(*database, context.Context, *rand.Rand) error {
	return func(d *database, ctx context.Context, dice *rand.Rand) error {
		if dice.IntN(2) == 0 {
			d.proxy.Refuse()
			defer d.proxy.Pass()
			return during(ctx, long)
		}
		stopped := d.primary.Stop()
		lasted := during(ctx, long)
		return firstOf(d.restart(ctx, dice), stopped, lasted)
	}
}

// hang lets nothing through, with every connection open.
func hang(long time.Duration) func(*database, context.Context, *rand.Rand) error {
	return func(d *database, ctx context.Context, _ *rand.Rand) error {
		d.proxy.Hang()
		defer d.proxy.Pass()
		return during(ctx, long)
	}
}

// swallowStates leaves the processes of the fleet with a connection each on
// which no answer ever comes, as behind a firewall that forgot it. New ones
// work.
func (d *database) swallowStates(ctx context.Context, _ *rand.Rand) error {
	const processes = 6
	return d.swallow(ctx, processes)
}

// readState is in what a process asks every second, and in nothing else.
const readState = "pg_control_system() AS control"

func (d *database) swallow(ctx context.Context, n int) error {
	before := d.proxy.Lost()
	d.proxy.SwallowReply(readState, n)
	defer d.proxy.SwallowReply(readState, 0)
	return servers.Await(ctx, "replies are swallowed", meetLimit, func(context.Context) (bool, error) {
		return d.proxy.Lost() >= before+n, nil
	})
}

func (d *database) restartBouncer(ctx context.Context, _ *rand.Rand) error {
	return d.bouncer.restart(context.WithoutCancel(ctx))
}

const selectBackends = `
SELECT pid FROM pg_stat_activity WHERE usename = $1 AND datname = current_database() ORDER BY pid`

// terminate ends half of regmend's server processes, again and again.
func (d *database) terminate(ctx context.Context, dice *rand.Rand) error {
	const rounds, pause = 6, 500 * time.Millisecond
	for range rounds {
		var pids []int
		if err := d.sql.SelectContext(ctx, &pids, selectBackends, runtimeRole); err != nil {
			return err
		}
		dice.Shuffle(len(pids), func(i, j int) { pids[i], pids[j] = pids[j], pids[i] })
		for _, pid := range pids[:(len(pids)+1)/2] {
			if _, err := d.sql.ExecContext(ctx, `SELECT pg_terminate_backend($1)`, pid); err != nil {
				return err
			}
		}
		if err := during(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}
