package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
)

// repairKinds are the faults that meet a repair where it can be hurt. Each plans,
// applies and undoes: what it leaves applied, the next one undoes.
func repairKinds() []kind {
	kinds := []kind{
		{name: "kill-asking", inject: inRepair(killAsking), limit: killedInFlush},
		{name: "kill-applying", inject: inRepair(killApplying), limit: killedInFlush},
		{name: "kill-at-insert", inject: inRepair(killAtRepairGate("apply", gateInserted)), limit: killedInFlush},
		{name: "kill-after-commit", inject: inRepair(killAfterCommit), limit: killedInFlush},
		{name: "kill-rescanning", inject: inRepair(killAtRepairGate("apply", gateRescanned)), limit: killedInFlush},
		{name: "kill-undoing", inject: inRepair(killAtRepairGate("undo", gateRemoved)), limit: killedInFlush},
		{name: "kill-undo-rescanning", inject: inRepair(killAtRepairGate("undo", gateUndone)), limit: killedInFlush},
		{name: "kill-apply-command", inject: inRepair(killCommand("apply"))},
		{name: "kill-undo-command", inject: inRepair(killCommand("undo"))},
		{name: "commit-reply-lost", inject: inRepair(loseRepairCommit("apply", gateInserted))},
		{name: "undo-commit-reply-lost", inject: inRepair(loseRepairCommit("undo", gateRemoved))},
		{name: "connection-terminated", inject: inRepair(terminateRepair("apply", gateInserted))},
		{name: "undo-connection-terminated", inject: inRepair(terminateRepair("undo", gateRemoved))},
		{name: "two-believe-it-theirs", inject: inRepair(freezeRepairer)},
		{name: "frozen-at-insert", inject: inRepair(freezeAtGate("apply", gateInserted)), limit: 2 * usualLimit},
		{name: "frozen-at-removal", inject: inRepair(freezeAtGate("undo", gateRemoved)), limit: 2 * usualLimit},
		{name: "apply-by-many", inject: inRepair(applyByMany)},
		{name: "undo-in-mid-apply", inject: inRepair(undoInMidApply)},
		{name: "disabled-in-mid-apply", inject: inRepair(disableInMidApply)},
		{name: "redis-flushed", inject: inRepair(flushInMidApply)},
		{name: "postgres-crash", inject: inRepair(crashInMidApply)},
	}
	for _, f := range gitlabFaults {
		kinds = append(kinds, kind{name: f.name, inject: inRepair(f.inject)})
	}
	for i := range kinds {
		kinds[i].name = repairGroup + "/" + kinds[i].name
		kinds[i].meets = true
	}
	return kinds
}

// killedInFlush is killLimit, and a while for the scans that are to see it: a flush
// that dies with its process is taken up after asynq's lease of 30 s.
const killedInFlush = killLimit + usualLimit

// repair is a plan that a fault is to meet.
type repair struct {
	*installation
	plan
	dice *rand.Rand
	// given is the command that waits for what was ordered last.
	given *command
}

// inRepair makes a fault of what is done to a repair, which has to go on when it
// returns.
func inRepair(do func(ctx context.Context, r *repair) error) func(context.Context, *installation, *rand.Rand) (healed, error) {
	return func(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
		p, err := in.planRepair(ctx, dice)
		if err != nil {
			return healed{}, err
		}
		r := &repair{installation: in, plan: p, dice: dice}
		if err := do(ctx, r); err != nil {
			if r.given != nil {
				r.given.kill()
			}
			return healed{}, err
		}
		return in.goesOn(p, r.given), nil
	}
}

// give gives an order, as an operator does who waits for it.
func (r *repair) give(ctx context.Context, what string) (err error) {
	r.given, err = r.order(ctx, what, r.plan)
	return err
}

// giving begins an order; before an undo the plan is applied.
func (r *repair) giving(ctx context.Context, what string) (begin func() error, err error) {
	if what == "undo" {
		err = r.carriedOut(ctx, "apply", r.plan)
	}
	return func() error { return r.give(ctx, what) }, err
}

// one is an item that is neither the first nor the last one.
func (r *repair) one() plannedItem { return r.items[1+r.dice.IntN(len(r.items)-2)] }

// killAsking kills the consumer while the registry is to tell of an item's tags.
func killAsking(ctx context.Context, r *repair) error {
	return r.atAsked(ctx, r.one(), func() error { return r.give(ctx, "apply") }, func() error {
		return r.killRepairer(ctx, r.plan)
	})
}

// killApplying kills it when the registry has told, and the item is about to be
// inserted.
func killApplying(ctx context.Context, r *repair) error {
	return r.atLock(ctx, func() error { return r.give(ctx, "apply") }, func(*sqlx.Tx) error {
		return r.killRepairer(ctx, r.plan)
	}, lockOneItem, r.id, r.one().Number)
}

// killAtRepairGate kills it within a transaction that has done its work and is not
// committed.
func killAtRepairGate(what string, g repairGate) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		begin, err := r.giving(ctx, what)
		if err != nil {
			return err
		}
		return r.atGate(ctx, g, begin, func() error { return r.killRepairer(ctx, r.plan) })
	}
}

// killAfterCommit kills it when all rows are in, while the registry is asked whether
// it lists one of them.
func killAfterCommit(ctx context.Context, r *repair) error {
	last := r.items[len(r.items)-1]
	return r.atLock(ctx, func() error { return r.give(ctx, "apply") }, func(tx *sqlx.Tx) error {
		h, end := r.registry.holdPath(last.path(), registrytest.Tags, registrytest.List)
		defer end()
		if err := tx.Rollback(); err != nil {
			return err
		}
		if err := h.wait(ctx); err != nil {
			return err
		}
		return r.killRepairer(ctx, r.plan)
	}, lockOneItem, r.id, last.Number)
}

// killCommand kills the operator's command at any moment; the order is given again.
func killCommand(what string) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		begin, err := r.giving(ctx, what)
		if err != nil {
			return err
		}
		for range 4 {
			if err := begin(); err != nil {
				return err
			}
			if err := during(ctx, between(r.dice, 10*time.Millisecond, 200*time.Millisecond)); err != nil {
				return err
			}
			r.given.kill()
		}
		return begin()
	}
}

// loseRepairCommit loses the reply to the COMMIT of a row, and of whatever else is
// committed at the same moment.
func loseRepairCommit(what string, g repairGate) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		begin, err := r.giving(ctx, what)
		if err != nil {
			return err
		}
		proxy, few := r.database.proxy, 5
		before := proxy.Lost()
		defer proxy.LoseReply("COMMIT", 0)
		err = r.atGate(ctx, g, begin, func() error { proxy.LoseReply("COMMIT", few); return nil })
		if err != nil {
			return err
		}
		return servers.Await(ctx, "replies to COMMIT are lost", meetLimit, func(context.Context) (bool, error) {
			return proxy.Lost() >= before+few, nil
		})
	}
}

// terminateRepair ends the server process of a transaction that is not committed.
func terminateRepair(what string, g repairGate) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		begin, err := r.giving(ctx, what)
		if err != nil {
			return err
		}
		return r.atLock(ctx, begin, func(tx *sqlx.Tx) error {
			var n int
			err := tx.GetContext(ctx, &n, terminateBlocked)
			if err == nil && n == 0 {
				err = errors.New("nobody stands at the gate any more")
			}
			return err
		}, `SELECT pg_advisory_xact_lock(7002, $1)`, int(g))
	}
}

// freezeRepairer stops the consumer until another one asks for the same item, and
// lets it go on: both believe then that the items are theirs.
func freezeRepairer(ctx context.Context, r *repair) error {
	item := r.one()
	thaw := func() error { return nil }
	err := r.atAsked(ctx, item, func() error { return r.give(ctx, "apply") }, func() (err error) {
		thaw, err = r.freezeOne(ctx)
		return err
	})
	if err != nil {
		return err
	}
	h, end := r.registry.holdPath(item.path(), registrytest.Tags)
	defer end()
	another := h.wait(ctx)
	return errors.Join(another, thaw())
}

// freezeOne stops the consumer that has the plan in hand.
func (r *repair) freezeOne(ctx context.Context) (thaw func() error, err error) {
	name, err := r.repairer(ctx, r.plan)
	if err != nil {
		return nil, err
	}
	_, p := r.fleet.running(name)
	return func() error { return p.Signal(syscall.SIGCONT) }, p.Signal(syscall.SIGSTOP)
}

// freezeAtGate stops it within a transaction for longer than every lease. The
// transaction stays open: nobody else can decide the item meanwhile.
func freezeAtGate(what string, g repairGate) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		begin, err := r.giving(ctx, what)
		if err != nil {
			return err
		}
		thaw := func() error { return nil }
		err = r.atGate(ctx, g, begin, func() (err error) {
			thaw, err = r.freezeOne(ctx)
			return err
		})
		if err != nil {
			return err
		}
		const longerThanTheClaim = 12 * time.Second
		return errors.Join(during(ctx, longerThanTheClaim), thaw())
	}
}
