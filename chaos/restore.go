package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"regmend/shared/servers"

	"github.com/lib/pq"
)

// restoreBackup puts an older state of the database into its place while
// regmend runs. The results since then, and rows of GitLab's, are gone.
func restoreBackup(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	d := in.database
	dump := filepath.Join(d.dir, fmt.Sprintf("%d.dump", time.Now().UnixNano()))
	defer os.Remove(dump)
	if err := d.dump(ctx, dump); err != nil {
		return healed{}, err
	}
	if err := in.moveOn(ctx, dice); err != nil {
		return healed{}, err
	}
	began := time.Now()
	if err := in.setBack(ctx, dump); err != nil {
		return healed{}, err
	}
	if _, err := d.recovered(ctx); err != nil {
		return healed{}, err
	}
	if err := in.holdsRestored(ctx, began); err != nil {
		return healed{}, err
	}
	err := in.newRun(ctx, "the database was restored")
	return healed{since: time.Now()}, err
}

// dump leaves out what the witness has read already: it would take long.
func (d *database) dump(ctx context.Context, file string) error {
	return runPostgres(ctx, nil, "pg_dump", "--format=custom", "--compress=0", "--exclude-table-data=chaos.writes",
		"--exclude-table-data=chaos.sweeps",
		"--file="+file, d.primary.Database(databaseName))
}

// moveOn lets rows come back that the backup does not have, and results that
// rest on them.
func (in *installation) moveOn(ctx context.Context, dice *rand.Rand) error {
	const rows, more = 30, 3 * time.Second
	ids, err := in.insertLost(ctx, dice, rows)
	if err != nil {
		return err
	}
	began := time.Now()
	err = in.feeding("results of the new rows are there", ids)(ctx, func(ctx context.Context) (bool, error) {
		return in.database.holds(ctx, selectWritten, ids, began)
	})
	if err != nil {
		return err
	}
	if err := during(ctx, time.Until(began.Add(more))); err != nil {
		return err
	}
	again, err := in.analysed(ctx, dice, rows)
	if err != nil {
		return err
	}
	return in.feed(ctx, slices.Concat(ids, again)) // work that is under way
}

const selectWritten = `
SELECT count(*) = cardinality($1::bigint[]) FROM regmend.data_repair_details WHERE project_id = ANY ($1) AND updated_at > $2`

// setBack replaces the database by the dump. Once it has begun it is brought to
// its end.
func (in *installation) setBack(ctx context.Context, dump string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	err := in.database.dismiss(ctx)
	if err == nil {
		err = in.witness.settle(ctx)
	}
	if err != nil {
		return firstOf(err, in.database.admin(ctx, `GRANT CONNECT ON DATABASE `+databaseName+` TO PUBLIC`))
	}
	return firstOf(in.database.restore(ctx, dump), in.witness.replaced(ctx))
}

const terminateThese = `
WITH theirs AS MATERIALIZED (
    SELECT pid FROM pg_stat_activity WHERE usename = ANY ($1) AND datname = current_database()
)
SELECT count(pg_terminate_backend(pid)) FROM theirs`

// dismiss ends regmend's connections; new ones are not let in, until the
// database is another one.
func (d *database) dismiss(ctx context.Context) error {
	if err := d.admin(ctx, `REVOKE CONNECT ON DATABASE `+databaseName+` FROM PUBLIC`); err != nil {
		return err
	}
	return servers.Await(ctx, "regmend's connections end", time.Minute, func(ctx context.Context) (bool, error) {
		var left int
		err := d.sql.GetContext(ctx, &left, terminateThese, pq.Array([]string{runtimeRole, ownerRole}))
		return err == nil && left == 0, err
	})
}

// restore makes the database anew, with all rights, from the dump.
func (d *database) restore(ctx context.Context, dump string) error {
	if err := d.admin(ctx, `DROP DATABASE `+databaseName+` WITH (FORCE)`); err != nil {
		return err
	}
	defer d.dropIdle()
	return runPostgres(ctx, nil, "pg_restore", "--exit-on-error", "--create", "--jobs=2", "--dbname="+d.primary.URL, dump)
}

// holdsRestored makes sure that regmend holds and scans nothing. It need not
// if Redis has lost its memory, or if another fault began a new run.
func (in *installation) holdsRestored(ctx context.Context, began time.Time) error {
	run, err := in.latestRun(ctx)
	if err != nil {
		return err
	}
	err = in.held(ctx, meetLimit, "restored")
	if err == nil {
		err = in.scansNothing(ctx)
	}
	if err == nil || in.redisLost(began) {
		return nil
	}
	if now, asked := in.latestRun(ctx); asked == nil && now != run {
		return nil
	}
	return err
}

func (in *installation) latestRun(ctx context.Context) (run int64, err error) {
	err = in.database.sql.GetContext(ctx, &run, `SELECT max(id) FROM regmend.runs`)
	return run, err
}

// redisLost tells whether Redis lost its data since a time.
func (in *installation) redisLost(since time.Time) bool {
	return slices.ContainsFunc(in.redis.lost(), since.Before)
}

// scansNothing makes sure that no scan number is given out.
func (in *installation) scansNothing(ctx context.Context) error {
	const look = 2 * time.Second
	before, _, err := in.witness.lastNumber(ctx)
	if err != nil {
		return err
	}
	if err := during(ctx, look); err != nil {
		return err
	}
	after, _, err := in.witness.lastNumber(ctx)
	if err == nil && after != before {
		err = damagef("%d scan numbers were given out while regmend held for a restored database", after-before)
	}
	return err
}
