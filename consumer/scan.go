package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/slots"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

// A batch that Postgres or Redis failed tries again after firstPause, and each
// time after twice as long up to longestPause.
const firstPause, longestPause = time.Second, 8 * time.Second

// handleScan is asynq's handler of a scan task. It returns nil when the batch
// is done or nobody's any more.
func (c *Consumer) handleScan(ctx context.Context, t *asynq.Task) error {
	b, err := c.newBatch(ctx, t)
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	if err := b.claimed(ctx); err != nil {
		return err
	}
	b.tally.Took = time.Since(b.since)
	b.tally.Done = len(b.scan.IDs) - b.tally.Completed - b.tally.Failed - b.tally.Gone
	return b.report(t)
}

// batch is one task's projects in the hands of this process.
type batch struct {
	*Consumer

	log   logrus.FieldLogger
	work  claims.Work
	scan  tasks.Scan
	tally tasks.Scanned
	// begun is how many times the batch was begun, this time included, and
	// since when it is in these hands.
	begun int
	since time.Time
	// kept are results that could not be stashed yet.
	kept []gitlab.Result
}

func (c *Consumer) newBatch(ctx context.Context, t *asynq.Task) (*batch, error) {
	scan, err := tasks.DecodeScan(t.Payload())
	if err != nil {
		return nil, err
	}
	id, _ := asynq.GetTaskID(ctx)
	name, err := tasks.ParseBatch(id)
	if err != nil {
		return nil, err
	}
	return &batch{
		Consumer: c,
		log:      c.log.WithField("task_id", id),
		work:     claims.Work{Name: name.Name, Generation: name.Generation, Payload: t.Payload()},
		scan:     scan,
		since:    time.Now(),
	}, nil
}

// report leaves the tally as the task's result for the web pages.
func (b *batch) report(t *asynq.Task) error {
	result, err := json.Marshal(b.tally)
	if err != nil {
		return err
	}
	if _, err := t.ResultWriter().Write(result); err != nil {
		b.log.WithError(err).Warn("the task's result could not be kept; the scan itself is done")
	}
	return nil
}

// claimed works on the batch under a claim, so that somebody else goes on if
// this process dies.
func (b *batch) claimed(ctx context.Context) error {
	outcome, begun, err := b.claims.Claim(ctx, b.work)
	if err != nil {
		return err
	}
	switch outcome {
	case claims.Elsewhere:
		b.tally.Note = "another process works on it"
		return nil
	case claims.Superseded:
		b.tally.Note = "it was put into the queue again meanwhile"
		return nil
	}
	b.begun = begun
	defer b.unclaim(ctx)
	ctx, done := b.claims.Guard(ctx, b.work)
	defer done()
	return b.untilDone(ctx)
}

func (b *batch) unclaim(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	if err := b.claims.Release(ctx, b.work); err != nil {
		b.log.WithError(err).Info("the claim is left to be released later")
	}
}

// untilDone tries the batch until every project is done. It waits here, in the
// handler, for as long as scanning is held: waiting is no failure.
func (b *batch) untilDone(ctx context.Context) error {
	defer b.leave(ctx)
	wait := firstPause
	for {
		err := b.once(ctx)
		switch {
		case err == nil, errors.Is(err, errStopped):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case gaveWay(err):
			wait = firstPause
			continue
		}
		b.log.WithError(err).Warn("the batch goes on in a moment")
		b.holdDatabase(ctx, err)
		b.rest(ctx, wait)
		wait = min(2*wait, longestPause)
	}
}

// rest pauses, but no longer than the gate is open: a shut one is waited at.
func (b *batch) rest(ctx context.Context, d time.Duration) {
	ctx, leave := b.gate.enter(ctx)
	defer leave()
	pause(ctx, d)
}

// once makes one attempt when scanning may go on.
func (b *batch) once(ctx context.Context) error {
	if err := b.gate.wait(ctx); err != nil {
		return err
	}
	state, err := b.watch.Now()
	if err != nil {
		return databaseError{err}
	}
	if state.Run.ID == b.scan.Run {
		return b.try(ctx, state)
	}
	if state.ReadAt.Before(b.since) {
		// Only a later look is sure to know the run that the batch is of.
		b.rest(ctx, lookEvery)
		return shut{errStale}
	}
	b.tally.Note = fmt.Sprintf("of run %d, discarded: this is run %d", b.scan.Run, state.Run.ID)
	return nil
}

// gaveWay tells whether the scan left because it was told to, by the gate or
// by losing its slot.
func gaveWay(err error) bool {
	var s shut
	return errors.As(err, &s) || errors.Is(err, slots.ErrLost) || errors.Is(err, slots.ErrSurplus)
}

// holdDatabase says on the board that Postgres is why scans do not go on, if
// it is.
func (b *batch) holdDatabase(ctx context.Context, err error) {
	var ours databaseError
	if !errors.As(err, &ours) {
		return
	}
	notice := board.Hold{Kind: board.HoldPostgres, Reason: err.Error(), Since: time.Now(), By: b.cfg.Process}
	if err := b.board.SetHold(ctx, notice, noticeFor); err != nil {
		b.log.WithError(err).Debug("the reason for holding could not be noted in Redis")
	}
}

// try makes one attempt at what is left of the batch, under a slot.
func (b *batch) try(ctx context.Context, state postgres.State) error {
	ctx, leave := b.gate.enter(ctx)
	defer leave()
	ctx, release, err := b.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := b.putKept(ctx, state.Settings); err != nil {
		return err
	}
	loaded, err := b.load(ctx, state)
	if err != nil || len(loaded.Projects) == 0 {
		return err
	}
	v, err := b.newVisit(ctx, state, loaded)
	if err != nil {
		return b.registryFailed(ctx, err)
	}
	return v.all(ctx)
}

// load returns the projects of the batch that are not done yet.
func (b *batch) load(ctx context.Context, state postgres.State) (postgres.Loaded, error) {
	after := max(b.scan.After, state.Run.Scan)
	stashed, err := b.stash.Done(ctx, b.scan.IDs, after)
	if err != nil {
		return postgres.Loaded{}, err
	}
	left := make([]int64, 0, len(b.scan.IDs))
	for _, id := range b.scan.IDs {
		if !stashed[id] {
			left = append(left, id)
		}
	}
	if len(left) == 0 {
		return postgres.Loaded{}, nil
	}
	loaded, err := b.db.Load(ctx, state.Run, left, after)
	if err != nil {
		return loaded, databaseError{err}
	}
	b.tally.Gone = loaded.Gone
	return loaded, b.raise(ctx, state.Run.ID, loaded.Scan)
}

// raise notes the scan number in Redis, where it outlives a restored database.
// It refuses to go on for a run that is not the one Redis knows.
func (b *batch) raise(ctx context.Context, run, scan int64) error {
	mark, err := b.board.Raise(ctx, board.RunMark{Run: run, Scan: scan})
	if err != nil {
		return err
	}
	if mark.Run != run {
		return fmt.Errorf("redis knows run %d, the batch is of run %d", mark.Run, run)
	}
	return nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
