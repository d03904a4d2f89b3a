package main

import (
	"context"
	"math/rand/v2"
	"time"

	"regmend/shared/servers"

	"github.com/lib/pq"
)

// loseCommit loses the reply to COMMIT while it is a flush that commits.
func loseCommit(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	ids, err := in.analysed(ctx, dice, 20)
	if err != nil {
		return healed{}, err
	}
	if err := in.database.loseCommit(ctx, in.feeding("a flush waits to write", ids)); err != nil {
		return healed{}, err
	}
	return in.database.recovered(ctx)
}

// loseCommit loses the reply to the COMMIT of a flush that feed brings about.
func (d *database) loseCommit(ctx context.Context, feed feeding) error {
	defer d.proxy.LoseReply("COMMIT", 0)
	before := d.proxy.Lost()
	if err := d.meetFlush(ctx, feed, func() { d.proxy.LoseReply("COMMIT", 1) }); err != nil {
		return err
	}
	return servers.Await(ctx, "the reply to a COMMIT is lost", meetLimit, func(context.Context) (bool, error) {
		return d.proxy.Lost() > before, nil
	})
}

// What a transaction did is rolled back, but a sequence keeps count.
const (
	armRefusal = `
CREATE SCHEMA faults;
CREATE SEQUENCE faults.refused;
CREATE FUNCTION faults.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF nextval('faults.refused') <= 3 THEN
        RAISE SQLSTATE '40001' USING MESSAGE = 'could not serialize access due to concurrent update';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER faults_refuse BEFORE INSERT ON regmend.data_repair_details
    FOR EACH STATEMENT EXECUTE FUNCTION faults.refuse()`

	// In this order no flush is in the way.
	disarmRefusal = `
DROP TRIGGER faults_refuse ON regmend.data_repair_details;
DROP SCHEMA faults CASCADE`

	serializationFailure = "40001"
	refusals             = 3
)

// refuseToSerialize fails the next statements that write results.
func refuseToSerialize(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	ids, err := in.analysed(ctx, dice, 20)
	if err != nil {
		return healed{}, err
	}
	if err := in.database.refuse(ctx, in.feeding("flushes fail with a serialization failure", ids)); err != nil {
		return healed{}, err
	}
	return in.database.recovered(ctx)
}

func (d *database) refuse(ctx context.Context, feed feeding) error {
	before, err := d.errorsOf(serializationFailure)
	if err != nil {
		return err
	}
	if _, err := d.sql.ExecContext(ctx, armRefusal); err != nil {
		return err
	}
	err = feed(ctx, d.failing(serializationFailure, before+refusals))
	_, disarmed := d.sql.ExecContext(context.WithoutCancel(ctx), disarmRefusal)
	return firstOf(err, disarmed)
}

const deadlockDetected = "40P01"

// deadlock locks results in the order opposite to a flush's until one of
// regmend's is the victim.
func deadlock(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	before, err := in.database.errorsOf(deadlockDetected)
	if err != nil {
		return healed{}, err
	}
	victim := in.database.failing(deadlockDetected, before+1)
	err = servers.Await(ctx, "a flush is the victim of a deadlock", meetLimit, func(ctx context.Context) (bool, error) {
		ids, err := in.analysed(ctx, dice, 20)
		if err != nil {
			return false, err
		}
		if err := in.database.entangle(ctx, ids, in.feeding("a flush waits for a row", ids)); err != nil {
			return false, err
		}
		return victim(ctx)
	})
	if err != nil {
		return healed{}, err
	}
	return in.database.recovered(ctx)
}

const (
	// Who waits longest looks for a deadlock: that must be the flush.
	beVictor    = `SET LOCAL deadlock_timeout = '10s'`
	lockResults = `
SELECT FROM regmend.data_repair_details WHERE project_id = ANY ($1) ORDER BY project_id DESC FOR UPDATE`
)

// entangle locks the later half of the projects' results and, when a flush
// waits for one of them, those before, which it may have locked. The projects
// are in order.
func (d *database) entangle(ctx context.Context, ids []int64, feed feeding) error {
	tx, err := d.sql.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, beVictor); err != nil {
		return err
	}
	half := len(ids) / 2
	if _, err := tx.ExecContext(ctx, lockResults, pq.Array(ids[half:])); err != nil {
		return err
	}
	if err := feed(ctx, blocking(tx)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, lockResults, pq.Array(ids[:half]))
	return err
}

// holdLock keeps everybody out of the result table.
func holdLock(long time.Duration) func(*database, context.Context, *rand.Rand) error {
	return func(d *database, ctx context.Context, _ *rand.Rand) error {
		tx, err := d.sql.BeginTxx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, `LOCK TABLE regmend.data_repair_details IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		return during(ctx, long)
	}
}
