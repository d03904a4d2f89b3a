package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"regmend/shared/servers"
)

// workEvery is the pause between two looks for work, atLeast so many tasks are
// to wait, and some so many projects are forced where they do not.
const (
	workEvery = time.Second
	atLeast   = 10
	some      = 500

	someBesideRepairs = 100
)

// keepWorking forces projects whenever little is left to do, so that faults
// always meet work.
func (r *pass) keepWorking(ctx context.Context) error {
	dice := rand.New(rand.NewPCG(r.seed, 1))
	tick := time.NewTicker(workEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if waiting, err := r.waiting(ctx); err == nil && waiting < atLeast {
			_ = r.forceSome(ctx, dice, r.some()) // something may be away
		}
	}
}

// some is how many projects are forced at once. Repairs, for which each fault has to
// wait, share the slots with them.
func (r *pass) some() int {
	if r.repairs != nil {
		return someBesideRepairs
	}
	return min(some, len(r.world.Projects)/2)
}

// waiting are the tasks that no worker has taken yet.
func (r *pass) waiting(ctx context.Context) (n int64, err error) {
	for _, queue := range []string{"scan", "adhoc"} {
		pending, err := r.redis.client().LLen(ctx, "asynq:{"+queue+"}:pending").Result()
		if err != nil {
			return 0, err
		}
		n += pending
	}
	return n, nil
}

// rest lets regmend finish: every project of the run is analysed, and no
// sweep is under way.
func (r *pass) rest(ctx context.Context) (status, error) {
	if err := r.setCap(ctx, usualCap); err != nil {
		return status{}, err
	}
	if err := r.persist(ctx, "settings", "set", "scan_enabled", "true"); err != nil {
		return status{}, err
	}
	if err := r.setStrategy(ctx, "project"); err != nil {
		return status{}, err
	}
	r.giveRest(ctx)
	if r.repairs != nil {
		if err := r.endRepairs(ctx); err != nil {
			return status{}, err
		}
	}
	if err := r.forceMoved(ctx); err != nil {
		return status{}, err
	}
	var s status
	again := time.Now()
	err := servers.Await(ctx, "every project is analysed", 4*time.Minute, func(ctx context.Context) (ok bool, err error) {
		now, err := r.status(ctx)
		if err != nil {
			return false, err
		}
		s = now
		if s.Failed > 0 && time.Since(again) > 10*time.Second {
			again = time.Now()
			err = r.forceFailed(ctx)
		}
		_, sweeping, asked := r.sweep(ctx)
		return !sweeping && s.Pending == 0 && s.Stashed != nil && *s.Stashed == 0 && s.Failed == r.routeless(), errors.Join(err, asked)
	})
	return s, err
}

// routeless are the projects that can only fail.
func (r *pass) routeless() (n int64) {
	for _, p := range r.world.Projects {
		if p.Routeless && !p.PendingDelete {
			n++
		}
	}
	return n
}
