package consumer

import (
	"context"
	"fmt"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

// handleScan is asynq's handler of a scan task and of a second look. It returns nil
// when the batch is done or nobody's any more, and tooEarly when some of a second
// look is left for later.
func (c *Consumer) handleScan(ctx context.Context, t *asynq.Task) error {
	defer c.hands.take()()
	b, err := c.newBatch(ctx, t)
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	if err := b.claimed(ctx, b.finish); err != nil {
		return err
	}
	if b.early > 0 {
		return tooEarly{b.early}
	}
	b.tally.Took = time.Since(b.since)
	b.tally.Done = len(b.scan.IDs) - b.tally.Completed - b.tally.Looked - b.tally.Failed - b.tally.Gone
	b.tally.Note = b.note
	return b.report(t, b.tally)
}

// tooEarly says that a second look begins by so much too early, as where the clocks
// of two machines differ, or confirm_after was raised. The task is put off.
type tooEarly struct{ by time.Duration }

func (e tooEarly) Error() string { return fmt.Sprintf("a second look begins %s too early", e.by) }

// batch is one task's projects in the hands of this process.
type batch struct {
	*job

	scan  tasks.Scan
	tally tasks.Scanned
	// hurries: it goes before what the producer enqueued.
	hurries bool
	// confirms: it makes second looks; early is how long it takes until the last of
	// them is due that were not when it was loaded.
	confirms bool
	early    time.Duration
	// debugs: each project is logged.
	debugs bool
	// kept are results that could not be stashed yet.
	kept []gitlab.Result
}

func (c *Consumer) newBatch(ctx context.Context, t *asynq.Task) (*batch, error) {
	scan, err := tasks.DecodeScan(t.Payload())
	if err != nil {
		return nil, err
	}
	j, err := c.newJob(ctx, t, scan.Run)
	if err != nil {
		return nil, err
	}
	queue, _ := asynq.GetQueueName(ctx)
	return &batch{
		job:      j,
		scan:     scan,
		hurries:  queue != tasks.QueueScan,
		confirms: t.Type() == tasks.TypeConfirm,
		debugs:   j.log.Logger.IsLevelEnabled(logrus.DebugLevel),
	}, nil
}

// finish scans until every project is done.
func (b *batch) finish(ctx context.Context) error {
	defer b.leave(ctx)
	return b.untilDone(ctx, b.try)
}

// try makes one attempt at what is left of the batch, under a slot.
func (b *batch) try(ctx context.Context, state postgres.State) error {
	if err := b.putKept(ctx, state.Settings); err != nil {
		return err
	}
	loaded, slot, release, err := b.begin(ctx, state)
	if err != nil || len(loaded.Projects) == 0 {
		return err
	}
	defer release()
	v, err := b.newVisit(slot, state, loaded)
	if err != nil {
		return b.registryFailed(slot, err)
	}
	return v.all(ctx, slot, release)
}

// freshFor is how long what was loaded may wait for a slot before it is loaded
// again.
const freshFor = 2 * time.Second

// begin loads what is left of the batch, and then waits for a slot: a slot that
// waits for Postgres is one that is not used. Where nothing is left there is no
// slot, and release is nil.
func (b *batch) begin(ctx context.Context, state postgres.State) (loaded postgres.Loaded, slot context.Context, release func(), err error) {
	leave, err := b.deck.enter(ctx, b.hurries)
	if err != nil {
		return loaded, nil, nil, err
	}
	defer leave()
	loaded, err = b.load(ctx, state)
	if err != nil || len(loaded.Projects) == 0 {
		return loaded, nil, nil, err
	}
	since := time.Now()
	if slot, release, err = b.pool.Acquire(ctx); err != nil {
		return loaded, nil, nil, err
	}
	if time.Since(since) > freshFor {
		loaded, err = b.load(slot, state)
	}
	if err != nil || len(loaded.Projects) == 0 {
		release()
	}
	return loaded, slot, release, err
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
	loaded, err := b.db.Load(ctx, state.Run, state.Settings.ConfirmAfter, left, after)
	if err != nil {
		return loaded, databaseError{err}
	}
	b.tally.Gone = loaded.Gone
	if b.confirms {
		b.early = loaded.Early
	}
	return loaded, b.raise(ctx, loaded.Scan)
}
