package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

const (
	// stashLook is how often every consumer looks for a stash that nobody
	// flushes, as after a kill between stashing and enqueueing.
	stashLook = time.Second
	// idleFor is how long a process has had no batch in hand when it takes it
	// that nothing more is to come.
	idleFor = 20 * time.Millisecond
	// calledFor keeps a process whose every batch finds a flush due from asking for
	// one each time.
	calledFor = 500 * time.Millisecond
	// requestWindow is how long a requested flush is waited for before another
	// one is requested.
	requestWindow = 5 * time.Second
	// flushLease is how long a flush that hangs keeps the others away. Two at
	// once are harmless, only a waste.
	flushLease = 30 * time.Second
)

// handleFlush is asynq's handler of a flush task.
func (c *Consumer) handleFlush(ctx context.Context, t *asynq.Task) error {
	if err := c.stash.FlushStarted(ctx); err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	flushed, err := c.flush(ctx)
	var shrunk *postgres.ShrunkError
	if errors.As(err, &shrunk) {
		c.holdShrunk(ctx, shrunk)
		err, flushed.Note = nil, shrunk.Error()
	} else if err == nil {
		c.unholdShrunk(ctx)
	}
	if err != nil {
		// Not tried again by the queue: the age of the stash requests the next
		// one within seconds, and the queue's own retries would pile up.
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	result, err := json.Marshal(flushed)
	if err != nil {
		return err
	}
	if _, err := t.ResultWriter().Write(result); err != nil {
		c.log.WithError(err).Warn("the task's result could not be kept; the flush itself is done")
	}
	return nil
}

// flush writes the stash to Postgres until it is empty, unless another flush
// does so already.
func (c *Consumer) flush(ctx context.Context) (total tasks.Flushed, err error) {
	unlock, mine, err := c.stash.LockFlush(ctx, flushLease)
	if err != nil || !mine {
		return total, err
	}
	defer unlock(context.WithoutCancel(ctx))
	began := time.Now()
	for {
		n, err := c.flushSome(ctx, &total)
		if err != nil || n == 0 {
			total.Took = time.Since(began)
			return total, err
		}
	}
}

// flushSome writes the oldest results and then, only after their commit,
// removes exactly these from the stash. It returns how many it read.
func (c *Consumer) flushSome(ctx context.Context, total *tasks.Flushed) (int, error) {
	state, err := c.db.State(ctx)
	if err == nil {
		err = state.Agrees(postgres.Remembered{}, "")
	}
	if err != nil {
		return 0, err
	}
	results, err := c.stash.Oldest(ctx, state.Settings.StashLimit)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	began := time.Now()
	current := ofRun(results, state.Run.ID)
	written, err := c.db.Write(ctx, state.Run, current)
	if errors.Is(err, postgres.ErrRunChanged) {
		return c.dropStrangers(ctx, results, err)
	}
	if err != nil {
		return 0, fmt.Errorf("write %d results: %w", len(current), err)
	}
	// Ack after commit: a crash in between repeats the write, which is
	// harmless; the other order would lose it.
	if err := c.stash.Ack(ctx, results); err != nil {
		return 0, fmt.Errorf("ack %d results: %w", len(results), err)
	}
	c.callConfirms(ctx, state, current)
	discarded := written.Discarded + len(results) - len(current)
	total.Written += written.Applied
	total.Discarded += discarded
	c.cfg.Metrics.flush(len(results), time.Since(began))
	c.log.WithFields(logrus.Fields{
		"results": len(results), "written": written.Applied, "looked": written.Looked, "superseded": written.Superseded,
		"discarded": discarded, "unstorable": written.Failed,
	}).Info("stash flushed")
	return len(results), nil
}

// dropStrangers removes the results whose scan number the database has never
// given out: they were stashed before it was restored, or are not ours, and
// would keep all others from being written. It returns how many they were, and
// reason if that was not it.
func (c *Consumer) dropStrangers(ctx context.Context, results []gitlab.Result, reason error) (int, error) {
	state, err := c.db.State(ctx) // after the results: any number of ours is known by now
	if err == nil {
		err = state.Agrees(postgres.Remembered{}, "")
	}
	if err != nil {
		return 0, err
	}
	strangers := slices.DeleteFunc(results, func(r gitlab.Result) bool { return r.Scan <= state.Scan })
	if len(strangers) == 0 {
		return 0, fmt.Errorf("write %d results: %w", len(results), reason)
	}
	c.log.WithFields(logrus.Fields{"results": len(strangers), "scan_number": state.Scan}).
		Warn("results with scan numbers that the database never gave out are dropped; was it restored?")
	return len(strangers), c.stash.Ack(ctx, strangers)
}

// ofRun keeps the results of the run; work of another run is discarded.
func ofRun(results []gitlab.Result, run int64) []gitlab.Result {
	kept := make([]gitlab.Result, 0, len(results))
	for _, r := range results {
		if r.Run == run {
			kept = append(kept, r)
		}
	}
	return kept
}

// callFlushes requests a flush whenever the stash has waited long enough or
// nothing more is to come, and tells the board how many results were stashed,
// until ctx ends.
func (c *Consumer) callFlushes(ctx context.Context) error {
	tick := time.NewTicker(stashLook)
	defer tick.Stop()
	for {
		idle := false
		select {
		case <-tick.C:
			c.countScanned(ctx)
		case <-c.hands.empty:
			pause(ctx, idleFor)
			idle = c.hands.count() == 0
			if !idle {
				continue
			}
		case <-ctx.Done():
			return nil
		}
		state, err := c.watch.Now()
		if err != nil || state.Agrees(postgres.Remembered{}, "") != nil {
			continue // nothing could be written; the keeper says so
		}
		stashed, err := c.stash.State(ctx)
		if err != nil {
			continue // Redis away: the keeper says so
		}
		if idle && stashed.Entries > 0 {
			c.requestFlush(ctx)
			continue
		}
		c.callFlush(ctx, stashed, state.Settings)
	}
}

// countScanned tells the board once a second what a round trip for each batch
// would be too much for.
func (c *Consumer) countScanned(ctx context.Context) {
	n := c.scanned.Swap(0)
	if n == 0 {
		return
	}
	if err := c.board.CountScanned(ctx, int(n)); err != nil {
		c.scanned.Add(n)
	}
}

// callFlush requests a flush if one is due, and none was a moment ago.
func (c *Consumer) callFlush(ctx context.Context, stashed stash.State, settings postgres.Settings) {
	due := stashed.Entries >= settings.StashLimit || stashed.Entries > 0 && stashed.Age >= settings.FlushAfter
	now := time.Now().UnixNano()
	last := c.called.Load()
	if due && now-last >= int64(calledFor) && c.called.CompareAndSwap(last, now) {
		c.requestFlush(ctx)
	}
}

// requestFlush enqueues a flush unless one is on its way.
func (c *Consumer) requestFlush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	wanted, err := c.stash.RequestFlush(ctx, requestWindow)
	if err == nil && wanted {
		_, err = tasks.NewClient(c.rdb).EnqueueContext(ctx, tasks.NewFlush(c.runID()))
		c.bells.ring(tasks.QueueFlush)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.log.WithError(err).Warn("no flush could be requested; the next look tries again")
	}
}

// runID is the current run as far as it is known.
func (c *Consumer) runID() int64 {
	state, err := c.watch.Now()
	if err != nil {
		return 0
	}
	return state.Run.ID
}
