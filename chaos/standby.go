package main

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"

	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
)

// startStandby copies the primary and follows it from there on.
func (d *database) startStandby(ctx context.Context, in *installation) error {
	dir, err := in.folder("standby")
	if err != nil {
		return err
	}
	err = runPostgres(ctx, nil, "pg_basebackup", "--dbname="+d.primary.URL, "--pgdata="+filepath.Join(dir, "data"),
		"--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--create-slot", "--slot=standby")
	if err != nil {
		return err
	}
	d.standby, err = servers.StartPostgres(ctx, dir, databaseSettings...)
	return err
}

// misled is how long connections lead to the standby.
const misled = 5 * time.Second

// landOnStandby lets connections lead to a standby that lags behind: it does not
// know of rows that the primary has.
func landOnStandby(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	d := in.database
	release, err := d.freezeStandby(ctx)
	if err != nil {
		return healed{}, err
	}
	err = in.mislead(ctx, dice)
	if err := release(err); err != nil {
		return healed{}, err
	}
	return d.recovered(ctx)
}

// mislead lets rows come back that the standby does not know of, has their
// projects scanned, and meanwhile leads to the standby.
func (in *installation) mislead(ctx context.Context, dice *rand.Rand) error {
	const rows = 20
	ids, err := in.insertLost(ctx, dice, rows)
	if err != nil {
		return err
	}
	if err := in.feed(ctx, ids); err != nil {
		return err
	}
	return in.database.leadToStandby(ctx, misled)
}

func (d *database) leadToStandby(ctx context.Context, long time.Duration) error {
	d.proxy.Redirect(onPort(d.standby.Port))
	defer d.proxy.Redirect(onPort(d.bouncer.server.Port))
	return during(ctx, long)
}

// freezeStandby keeps the standby as it is until release, which returns the
// given error or, if that is nil, its own.
func (d *database) freezeStandby(ctx context.Context) (release func(error) error, err error) {
	db, err := openDatabase(d.standby.URL)
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, `SELECT pg_wal_replay_pause()`); err != nil {
		_ = db.Close()
		return nil, err
	}
	return func(err error) error {
		defer db.Close()
		return firstOf(err, resumeReplay(context.WithoutCancel(ctx), db))
	}, nil
}

func resumeReplay(ctx context.Context, db *sqlx.DB) error {
	_, err := db.ExecContext(ctx, `SELECT pg_wal_replay_resume()`)
	return err
}

// firstOf is the first error there is. What cleaning up meets after a failure
// follows from that one.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
