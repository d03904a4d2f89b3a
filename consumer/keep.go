package consumer

import (
	"context"
	"errors"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/stash"

	"github.com/sirupsen/logrus"
)

const (
	// putTimeout is how long results may take into the stash, also once the
	// scan has to leave.
	putTimeout = 1500 * time.Millisecond
	// fullPause is the pause between two tries at a full stash.
	fullPause = 100 * time.Millisecond
)

// putKept stashes the results that are kept; it survives cancellation, for a
// scan that has to leave takes its results along. A full stash makes it wait.
// What could not be stashed stays kept for the batch's next attempt.
func (b *batch) putKept(ctx context.Context, settings postgres.Settings) error {
	for len(b.kept) > 0 {
		stashed, err := b.putOnce(ctx)
		switch {
		case err == nil:
			b.count(b.kept)
			b.kept = nil
			b.steps++
			b.callFlush(ctx, stashed, settings)
		case errors.Is(err, stash.ErrFull) && ctx.Err() == nil:
			b.requestFlush(ctx)
			pause(ctx, fullPause)
		default:
			return err
		}
	}
	return nil
}

func (b *batch) putOnce(ctx context.Context) (stash.State, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	stashed, err := b.stash.Put(ctx, b.kept)
	if err == nil {
		b.scanned.Add(int64(len(b.kept)))
	}
	return stashed, err
}

// leave makes a last try to stash what is kept, as the process ends or another
// one has the batch.
func (b *batch) leave(ctx context.Context) {
	if len(b.kept) == 0 {
		return
	}
	if _, err := b.putOnce(ctx); err != nil {
		b.log.WithError(err).WithField("results", len(b.kept)).Error("results are lost; their projects will be scanned again")
		if b.gate.stopped() {
			b.unstashed.Store(true)
		}
	}
}

// count adds the results to the batch's tally and to the metrics.
func (b *batch) count(results []gitlab.Result) {
	for _, r := range results {
		switch r.Status {
		case gitlab.Completed:
			b.tally.Completed++
			b.tally.Missing += len(r.Missing)
		case gitlab.Looked:
			b.tally.Looked++
		default:
			b.tally.Failed++
		}
		b.cfg.Metrics.result(r)
		if b.debugs {
			b.log.WithFields(logrus.Fields{
				"project_id": r.Project.ID, "full_path": r.Project.FullPath, "status": string(r.Status),
				"listed": r.Listed, "missing": len(r.Missing),
			}).Debug("scan done")
		}
	}
}
