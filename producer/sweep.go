package producer

import (
	"context"
	"errors"
	"time"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/sirupsen/logrus"
)

// countedFor is how old a count of the projects may be that a sweep is decided by.
const countedFor = 5 * time.Minute

// sweeping tells whether a sweep does the work for now, so that no laps are to be
// enqueued. It begins the run's one sweep where the strategy asks for that, and
// sees to it that one that has not ended has a task, whoever began it.
func (p *Producer) sweeping(ctx context.Context, state postgres.State, tick bool) (bool, error) {
	sweep, err := p.db.Sweep(ctx)
	none := errors.Is(err, gitlab.ErrNotFound)
	switch {
	case err != nil && !none:
		return false, err
	case !none && sweep.Run == state.Run.ID && sweep.Ended():
		return false, nil
	case !none && sweep.Run == state.Run.ID:
		return state.Settings.Strategy != postgres.StrategyProject, p.carryOn(ctx, sweep, tick)
	}
	wanted, err := p.wantsSweep(ctx, state)
	if err != nil || !wanted {
		return false, err
	}
	sweep, err = p.db.BeginSweep(ctx, state.Run, "producer "+p.cfg.Process)
	if errors.Is(err, postgres.ErrSweepRunning) {
		return true, nil // somebody else just began it
	}
	if err != nil {
		return false, err
	}
	p.log.WithFields(logrus.Fields{"run": sweep.Run, "sweep": sweep.ID}).Info("a sweep begins")
	return true, p.carryOn(ctx, sweep, true)
}

// carryOn enqueues the sweep unless it is: on a tick, for it takes a look at all
// its tasks.
func (p *Producer) carryOn(ctx context.Context, sweep postgres.Sweep, tick bool) error {
	if !tick {
		return nil
	}
	enqueued, err := tasks.EnqueueSweep(ctx, p.rdb, tasks.Sweep{Run: sweep.Run, Sweep: sweep.ID})
	if enqueued {
		p.log.WithField("sweep", sweep.ID).Info("the sweep is enqueued")
	}
	return err
}

// wantsSweep tells whether a sweep is to be begun: by the strategy, over all
// projects, and only where most of them have no result yet.
func (p *Producer) wantsSweep(ctx context.Context, state postgres.State) (bool, error) {
	switch {
	case state.Settings.Strategy == postgres.StrategyProject:
		return false, nil
	case len(state.Settings.Scope) > 0:
		return false, nil // a sweep keeps to no scope
	}
	if state.Settings.Strategy == postgres.StrategyAuto {
		catalog, known, err := p.board.Catalog(ctx)
		if err != nil || !known || !catalog.Granted || catalog.Registry != state.Run.Registry {
			return false, err
		}
	}
	return p.mostPending(ctx, state)
}

// mostPending tells whether more than half of the projects are pending, by the
// last count or, where that is old, by one made now.
func (p *Producer) mostPending(ctx context.Context, state postgres.State) (bool, error) {
	counted, known, err := p.board.Counters(ctx)
	if err != nil {
		return false, err
	}
	if !known || counted.Run != state.Run.ID || time.Since(counted.At) > countedFor {
		counts, err := p.db.Counts(ctx, state.Run)
		if err != nil {
			return false, err
		}
		counted = board.Counters{Eligible: counts.Eligible, Pending: counts.Pending}
	}
	return 2*counted.Pending > counted.Eligible, nil
}
