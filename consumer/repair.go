package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/slots"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

// pusher makes GitLab make a repository's row.
type pusher interface {
	AuthorizePush(ctx context.Context, path string) error
}

// errRepairOff is why a repair waits that may not go on.
var errRepairOff = errors.New("repair is disabled, or repair_concurrency is 0")

// handleRepair is asynq's handler of a repair task. It returns nil when its items
// are decided, or nobody's any more.
func (c *Consumer) handleRepair(ctx context.Context, t *asynq.Task) error {
	payload, err := tasks.DecodeRepair(t.Payload())
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	j, err := c.newJob(ctx, t, payload.Run)
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	j.log = j.log.WithFields(logrus.Fields{"plan": payload.Plan, "order": payload.Order})
	if payload.Undo {
		j.gate = c.doors
	}
	r := &repair{job: j, task: payload}
	if err := r.claimed(ctx, r.finish); err != nil {
		return err
	}
	r.tally.Note, r.tally.Took = r.note, time.Since(r.since)
	return r.report(t, r.tally)
}

// repair is some items of an order in the hands of this process. What became of
// each, the database knows: whoever has the task goes on from there.
type repair struct {
	*job

	task  tasks.Repair
	order postgres.Order
	run   postgres.Run
	tally tasks.Repaired
}

// repairLimits are what this process knows of them.
func (c *Consumer) repairLimits() slots.Limits {
	state, err := c.watch.Now()
	if err != nil || !state.Settings.RepairEnabled {
		return slots.Limits{}
	}
	return slots.Limits{Slots: state.Settings.RepairConcurrency}
}

func (r *repair) span() postgres.Span { return postgres.Span{From: r.task.From, To: r.task.To} }

// finish works until every item is decided.
func (r *repair) finish(ctx context.Context) error { return r.untilDone(ctx, r.try) }

// try makes one attempt at what is left, as one of repair_concurrency.
func (r *repair) try(ctx context.Context, state postgres.State) error {
	ctx, release, err := r.repairs.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	r.run = state.Run
	order, items, err := r.db.Work(ctx, r.task.Plan, r.task.Order, r.span())
	if err == nil {
		r.order = order
		err = r.all(ctx, state, items)
	}
	return r.settled(ctx, err)
}

// settled tells what an error means for the order: nil if there is nothing more to
// be done here.
func (r *repair) settled(ctx context.Context, err error) error {
	var cannot *postgres.CannotRepairError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, postgres.ErrOrderOver):
		r.note = "another order was given, or this one was stopped"
		return nil
	case errors.As(err, &cannot):
		r.note = cannot.Reason
		r.log.WithField("reason", cannot.Reason).Error("the repair cannot go on")
		return r.db.StopOrder(ctx, r.order, cannot.Reason)
	case errors.Is(err, postgres.ErrRepairDisabled):
		r.rest(ctx, lookEvery)
		return shut{errRepairOff}
	case errors.Is(err, postgres.ErrRunChanged):
		r.rest(ctx, lookEvery)
		return shut{errStale}
	default:
		return err
	}
}

func (r *repair) all(ctx context.Context, state postgres.State, items []postgres.Item) error {
	if r.order.Action == postgres.ActionUndo {
		return r.undo(ctx, items)
	}
	if err := r.apply(ctx, state, items); err != nil {
		return err
	}
	return r.verify(ctx, state)
}

// decided logs what became of an item, in one form for all.
func (r *repair) decided(item postgres.Item, d postgres.Decided) {
	log := r.log.WithFields(logrus.Fields{
		"item": item.Number, "project_id": item.Project.ID, "path": item.Path(), "outcome": string(d.State),
	})
	if d.Row != 0 {
		log = log.WithField("row", d.Row)
	}
	switch d.State {
	case postgres.ItemApplied:
		r.tally.Applied++
		log.Info("repair: row inserted")
	case postgres.ItemUndone:
		r.tally.Undone++
		log.Info("repair: row removed")
	case postgres.ItemSkipped:
		r.tally.Skipped++
		log.WithField("reason", d.Reason).Warn("repair: item left as it is")
	case postgres.ItemKept:
		r.tally.Kept++
		log.WithField("reason", d.Reason).Warn("repair: item left as it is")
	case postgres.ItemFailed:
		r.tally.Failed++
		log.WithField("reason", d.Reason).Warn("repair: item left as it is")
	case postgres.ItemOpen, postgres.ItemRefused: // decided before
	}
}

// leave decides an item otherwise than as ordered.
func (r *repair) leave(ctx context.Context, item postgres.Item, state postgres.ItemState, reason string) error {
	if err := r.db.Leave(ctx, r.order, item.Number, state, reason); err != nil {
		return ours(ctx, err)
	}
	r.decided(item, postgres.Decided{State: state, Reason: reason})
	return nil
}
