package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/postgres"
	"regmend/shared/slots"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

// Work that Postgres or Redis failed is tried again after firstPause, and each
// time after twice as long up to longestPause, but anew from firstPause once it got
// further in between.
const firstPause, longestPause = time.Second, 8 * time.Second

// pauses are those between such tries.
type pauses struct{ next time.Duration }

// after is the pause after a try that failed, and did or did not get further than
// the one before.
func (p *pauses) after(gotFurther bool) time.Duration {
	if gotFurther || p.next == 0 {
		p.next = firstPause
	}
	pause := p.next
	p.next = min(2*pause, longestPause)
	return pause
}

// job is one task in the hands of this process, claimed, so that somebody else
// goes on with it if this process dies.
type job struct {
	*Consumer

	log  *logrus.Entry
	gate *gate // what lets the work begin, and ends it: the Consumer's, or its doors
	work claims.Work
	run  int64 // the run it works for
	// begun is how many times the task was begun, this time included, and since
	// when it is in these hands.
	begun int
	since time.Time
	// steps is how often something was done that need not be done again.
	steps int
	// note says why nothing was done, or not all; "" if nothing is to be said.
	note string
}

// newJob takes a task in hand; run is the run that its payload names.
func (c *Consumer) newJob(ctx context.Context, t *asynq.Task, run int64) (*job, error) {
	id, _ := asynq.GetTaskID(ctx)
	name, err := tasks.ParseBatch(id)
	if err != nil {
		return nil, err
	}
	return &job{
		Consumer: c,
		log:      c.log.WithField("task_id", id),
		gate:     c.gate,
		work:     claims.Work{Name: name.Name, Generation: name.Generation, Payload: t.Payload()},
		run:      run,
		since:    time.Now(),
	}, nil
}

// report leaves what became of the task for the web pages.
func (j *job) report(t *asynq.Task, outcome any) error {
	result, err := json.Marshal(outcome)
	if err != nil {
		return err
	}
	if _, err := t.ResultWriter().Write(result); err != nil {
		j.log.WithError(err).Warn("the task's result could not be kept; the work itself is done")
	}
	return nil
}

// claimed does the work under a claim, or leaves it to whoever has one.
func (j *job) claimed(ctx context.Context, work func(context.Context) error) error {
	outcome, begun, err := j.claims.Claim(ctx, j.work)
	if err != nil {
		return err
	}
	switch outcome {
	case claims.Elsewhere:
		j.note = "another process works on it"
		return nil
	case claims.Superseded:
		j.note = "it was put into the queue again meanwhile"
		return nil
	}
	j.begun = begun
	defer j.unclaim(ctx)
	ctx, done := j.claims.Guard(ctx, j.work)
	defer done()
	return work(ctx)
}

func (j *job) unclaim(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	if err := j.claims.Release(ctx, j.work); err != nil {
		j.log.WithError(err).Info("the claim is left to be released later")
	}
}

// attempt is one try at what is left of a task, while the gate is open.
type attempt func(context.Context, postgres.State) error

// untilDone tries until all is done. It waits here, in the handler, for as long
// as scanning is held: waiting is no failure.
func (j *job) untilDone(ctx context.Context, try attempt) error {
	var between pauses
	for {
		before := j.steps
		err := j.once(ctx, try)
		switch {
		case err == nil, errors.Is(err, errStopped):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case gaveWay(err):
			between = pauses{}
			continue
		}
		j.log.WithError(err).Warn("the work goes on in a moment")
		j.holdDatabase(ctx, err)
		j.rest(ctx, between.after(j.steps > before))
	}
}

// rest pauses, but no longer than the gate is open: a shut one is waited at.
func (j *job) rest(ctx context.Context, d time.Duration) {
	ctx, leave := j.gate.enter(ctx)
	defer leave()
	pause(ctx, d)
}

// once makes one attempt when scanning may go on.
func (j *job) once(ctx context.Context, try attempt) error {
	if err := j.gate.wait(ctx); err != nil {
		return err
	}
	state, err := j.watch.Now()
	if err != nil {
		return databaseError{err}
	}
	if state.Run.ID == j.run {
		ctx, leave := j.gate.enter(ctx)
		defer leave()
		return try(ctx, state)
	}
	if state.ReadAt.Before(j.since) {
		// Only a later look is sure to know the run that the task is of.
		j.rest(ctx, lookEvery)
		return shut{errStale}
	}
	j.note = fmt.Sprintf("of run %d, discarded: this is run %d", j.run, state.Run.ID)
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
func (j *job) holdDatabase(ctx context.Context, err error) {
	var ours databaseError
	if !errors.As(err, &ours) {
		return
	}
	notice := board.Hold{Kind: board.HoldPostgres, Reason: err.Error(), Since: time.Now(), By: j.cfg.Process}
	if err := j.board.SetHold(ctx, notice, noticeFor); err != nil {
		j.log.WithError(err).Debug("the reason for holding could not be noted in Redis")
	}
}

// raise notes the scan number in Redis, where it outlives a restored database.
// It refuses to go on for a run that is not the one Redis knows.
func (j *job) raise(ctx context.Context, scan int64) error {
	mark, err := j.board.Raise(ctx, board.RunMark{Run: j.run, Scan: scan})
	if err != nil {
		return err
	}
	if mark.Run != j.run {
		return fmt.Errorf("redis knows run %d, the task is of run %d", mark.Run, j.run)
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

// underSlot does what asks the registry.
func (j *job) underSlot(ctx context.Context, work func(context.Context) error) error {
	ctx, release, err := j.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	return work(ctx)
}
