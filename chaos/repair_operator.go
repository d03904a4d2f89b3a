package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// applyByMany lets operators give the same order at the same time: the last one's
// is carried out, the others are told.
func applyByMany(ctx context.Context, r *repair) error {
	const operators = 4
	commands := make([]*command, operators)
	var all errgroup.Group
	for i := range commands {
		all.Go(func() (err error) {
			commands[i], err = r.order(ctx, "apply", r.plan)
			return err
		})
	}
	err := all.Wait()
	if err == nil {
		err = servers.Await(ctx, "what many ordered is carried out", 2*usualLimit, r.goesOn(r.plan, nil).back)
	}
	for _, c := range commands {
		if c != nil {
			err = errors.Join(err, c.done(ctx))
		}
	}
	return err
}

// undoInMidApply gives the order to undo while a row is inserted.
func undoInMidApply(ctx context.Context, r *repair) error {
	item := r.one()
	var apply *command
	err := r.atAsked(ctx, item, func() (err error) {
		apply, err = r.order(ctx, "apply", r.plan)
		return err
	}, func() error {
		if err := r.give(ctx, "undo"); err != nil {
			return err
		}
		return servers.Await(ctx, "the order to undo is given", meetLimit, func(ctx context.Context) (bool, error) {
			now, err := r.progress(ctx, r.plan)
			return now.State == "undoing", err
		})
	})
	if apply != nil {
		err = errors.Join(err, apply.done(ctx))
	}
	return err
}

const selectInsertedSince = `SELECT count(*) FROM chaos.repositories WHERE role = $1 AND at > $2`

// disableInMidApply disables repairs, holds regmend to P13, and enables them again.
func disableInMidApply(ctx context.Context, r *repair) error {
	err := r.atAsked(ctx, r.one(), func() error { return r.give(ctx, "apply") }, func() error {
		return r.persist(ctx, "disable", "repair")
	})
	if err != nil {
		return err
	}
	down := time.Now()
	if err := during(ctx, flagLimit+time.Second); err != nil {
		return err
	}
	var n int
	err = r.database.sql.GetContext(ctx, &n, selectInsertedSince, runtimeRole, down.Add(flagLimit))
	if err == nil && n > 0 {
		err = damagef("%d rows were changed although repairs had been disabled for %s", n, flagLimit)
	}
	return errors.Join(r.persist(ctx, "enable", "repair"), err)
}

// flushInMidApply loses all that is in Redis; the order is given again.
func flushInMidApply(ctx context.Context, r *repair) error {
	err := r.atAsked(ctx, r.one(), func() error { return r.give(ctx, "apply") }, func() error {
		return redisFlushed(ctx, r.redis, r.dice)
	})
	if err != nil {
		return err
	}
	r.given.kill()
	return r.give(ctx, "apply")
}

// crashInMidApply kills Postgres while a row is inserted.
func crashInMidApply(ctx context.Context, r *repair) error {
	err := r.atAsked(ctx, r.one(), func() error { return r.give(ctx, "apply") }, func() error { return nil })
	if err != nil {
		return err
	}
	if err := r.database.crash(ctx, r.dice); err != nil {
		return fmt.Errorf("crash Postgres: %w", err)
	}
	_, err = r.database.recovered(ctx)
	return err
}
