package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

// handleSweep is asynq's handler of a sweep task. It returns nil when the sweep
// has ended or is nobody's any more.
func (c *Consumer) handleSweep(ctx context.Context, t *asynq.Task) error {
	payload, err := tasks.DecodeSweep(t.Payload())
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	j, err := c.newJob(ctx, t, payload.Run)
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	j.log = j.log.WithField("sweep", payload.Sweep)
	w := &sweep{job: j, id: payload.Sweep}
	if err := w.claimed(ctx, w.finish); err != nil {
		return err
	}
	return w.report(t, tasks.Swept{
		Pages: w.at.Pages, Repositories: w.at.Repositories, Unowned: w.at.Unowned, Proven: w.at.Proven,
		Note: w.note, Took: time.Since(w.since),
	})
}

// sweep is a walk over the registry's catalog in the hands of this process. How
// far it is, the database knows: each step is committed there, and whoever has
// the task goes on from there.
type sweep struct {
	*job

	id int64
	at postgres.Sweep // as the database last said

	walk     *registry.CatalogWalk // nil: not begun by this process
	refused  int                   // tries in a row at one page
	outages  int                   // of the registry's in a row at one page
	restarts int                   // walks that this process began anew
	silent   map[postgres.Candidate]bool
}

// finish carries the sweep on until it has ended.
func (w *sweep) finish(ctx context.Context) error {
	if err := w.untilDone(ctx, w.try); err != nil {
		return err
	}
	if w.at.State == postgres.SweepFailed {
		w.note = w.at.Reason
	}
	return nil
}

// try makes one attempt at what is left of the sweep.
func (w *sweep) try(ctx context.Context, state postgres.State) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	for !w.at.Ended() {
		before := w.at.State
		if err := w.stage(ctx, state); err != nil {
			return err
		}
		if w.at.State != before {
			w.tell()
		}
	}
	return nil
}

// stage does the next of what the state of the sweep asks for.
func (w *sweep) stage(ctx context.Context, state postgres.State) error {
	switch w.at.State {
	case postgres.SweepPreparing:
		next, err := w.db.Keep(ctx, w.at)
		return w.moved(ctx, next, err)
	case postgres.SweepWalking:
		return w.underSlot(ctx, func(ctx context.Context) error { return w.pages(ctx, state) })
	default:
		return w.judge(ctx, state)
	}
}

// look reads where the sweep is. One that is there no more is over.
func (w *sweep) look(ctx context.Context) error {
	at, err := w.db.Sweep(ctx)
	switch {
	case errors.Is(err, gitlab.ErrNotFound), err == nil && at.ID != w.id:
		w.at = postgres.Sweep{State: postgres.SweepFailed, Reason: fmt.Sprintf("sweep %d is over: it is not the last one", w.id)}
		return nil
	case err != nil:
		return ours(ctx, err)
	}
	w.at = at
	return w.raise(ctx, at.Scan)
}

// moved takes note of what the database said of a step.
func (w *sweep) moved(ctx context.Context, next postgres.Sweep, err error) error {
	switch {
	case err == nil:
		w.at = next
		w.steps++
		return nil
	case errors.Is(err, postgres.ErrSweepMoved):
		return w.look(ctx)
	case errors.Is(err, postgres.ErrRunChanged):
		w.rest(ctx, lookEvery)
		return shut{errStale}
	default:
		return ours(ctx, err)
	}
}

// ours is err as the database's, unless ctx ended: then it is why.
func ours(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return databaseError{err}
}

// fail ends the sweep without results: projects are scanned.
func (w *sweep) fail(ctx context.Context, reason string) error {
	next := w.at
	next.State, next.Reason = postgres.SweepFailed, reason
	return w.moved(ctx, next, w.db.FailSweep(ctx, w.at, reason))
}

// marked does one step. From the second time on that the task was begun the step
// is marked, by the sweep's negative number where projects are by theirs, so that
// one that kills its process is found out.
func (w *sweep) marked(ctx context.Context, step func(context.Context) error) error {
	if w.begun == 1 {
		return step(ctx)
	}
	deaths, err := w.claims.Mark(ctx, -w.id)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
		defer cancel()
		if err := w.claims.Unmark(ctx, -w.id); err != nil {
			w.log.WithError(err).Warn("a mark is left on the sweep")
		}
	}()
	if deaths >= deathsAllowed {
		return w.fail(ctx, fmt.Sprintf("%d processes died at the same step, after page %d of the catalog", deaths, w.at.Pages))
	}
	return step(ctx)
}

// tell logs how far the sweep is.
func (w *sweep) tell() {
	log := w.log.WithFields(logrus.Fields{
		"state": string(w.at.State), "pages": w.at.Pages, "repositories": w.at.Repositories, "unowned": w.at.Unowned,
		"candidates": w.at.Candidates, "proven": w.at.Proven,
	})
	if w.at.State == postgres.SweepFailed {
		log.WithField("reason", w.at.Reason).Error("the sweep failed; projects are scanned one by one")
		return
	}
	log.Info("the sweep goes on")
}
