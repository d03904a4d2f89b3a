package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/redis/go-redis/v9"
)

// warnOfWaiting tells why an order will not be carried out at once.
func (x *parts) warnOfWaiting(ctx context.Context, rdb redis.UniversalClient, state postgres.State, action string) {
	if state.Settings.RepairConcurrency == 0 {
		fmt.Fprintln(x.process.Stderr, "regmend: warning: it waits, as repair_concurrency is 0 (regmend settings set repair_concurrency 1)")
		return
	}
	if processes, err := claims.Processes(ctx, rdb); err == nil && consumers(processes) == 0 {
		fmt.Fprintln(x.process.Stderr, "regmend: warning: it waits, as no consumer is alive")
	}
	if action == postgres.ActionApply { // undo asks the registry nothing
		warnIfWaiting(ctx, x.process.Stderr, "it waits", state.Settings, board.New(rdb))
	}
}

// await shows how far an order is until it is carried out.
func (x *parts) await(ctx context.Context, db *postgres.DB, a *assigned) error {
	show := newDisplay(x.process.Stdout, 0)
	defer show.end()
	var shown time.Time
	for {
		begun := time.Now()
		plan, err := a.look(ctx, db)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("no longer waiting: the consumers go on (regmend repair show %d); regmend disable repair stops them", a.order.Plan)
		case err != nil && !postgres.Away(err):
			return err
		case err == nil && (over(plan) || a.rests && over(scanned(plan))):
			show.end()
			return x.outcome(plan)
		case show.terminal && err == nil:
			show.draw(repairBar(plan, width(show.out)-1))
		case time.Since(shown) >= show.interval:
			shown = time.Now()
			if err != nil {
				show.lost(err)
			} else {
				fmt.Fprintln(show.out, shown.Format(time.TimeOnly)+" "+repairLine(plan))
			}
		}
		_ = pause(ctx, nextLook(awaitLook, time.Since(begun))) // that ctx ended the next look tells
	}
}

// assigned is an order with the tasks that carry it out.
type assigned struct {
	order    postgres.Order
	rdb      redis.UniversalClient
	spans    []postgres.Span
	enqueued time.Time // when that was last seen to
	rests    bool      // nothing is scanned for now
}

// sendAgain is how often it is seen to that no task was lost.
const sendAgain = 30 * time.Second

// send enqueues the tasks of the order that are not in the queue in any state.
func (a *assigned) send(ctx context.Context) error {
	a.enqueued = time.Now()
	for _, s := range a.spans {
		task := tasks.Repair{Run: a.order.Run, Plan: a.order.Plan, Order: a.order.ID, Undo: a.order.Action == postgres.ActionUndo, From: s.From, To: s.To}
		if err := tasks.EnqueueRepair(ctx, a.rdb, task); err != nil {
			return err
		}
	}
	return nil
}

// look returns how far the order is, or why nothing more will come of it.
func (a *assigned) look(ctx context.Context, db *postgres.DB) (postgres.Plan, error) {
	plan, err := thePlan(ctx, db, a.order.Plan)
	if err != nil {
		return plan, err
	}
	state, err := db.State(ctx)
	switch {
	case err != nil:
		return plan, err
	case plan.Order != a.order.ID:
		return plan, fmt.Errorf("another order was given for plan %d: see regmend repair show %d", plan.ID, plan.ID)
	case plan.Stopped != "":
		return plan, errors.New(plan.Stopped)
	case state.Run.ID != a.order.Run:
		return plan, fmt.Errorf("run %d was begun, so nothing more is done for run %d: see regmend repair show %d", state.Run.ID, a.order.Run, plan.ID)
	}
	a.rests = !state.Settings.ScanEnabled || state.Settings.MaxConcurrency == 0 || !state.Settings.ActiveHours.Include(time.Now())
	if time.Since(a.enqueued) > sendAgain {
		// Redis away is no reason to give up: it is tried again.
		_ = a.send(ctx)
	}
	return plan, nil
}

// awaitLook is how often the database is looked at.
const awaitLook = 500 * time.Millisecond

// over tells whether an order is carried out, and scans have seen it.
func over(p postgres.Plan) bool {
	n := p.Counts
	if p.State == postgres.PlanUndoing {
		return n.Applied == 0 && n.Unverified == 0 && n.Unscanned == 0
	}
	return n.Open == 0 && n.Unverified == 0 && n.Unscanned == 0
}

// scanned is the plan as if its projects were scanned.
func scanned(p postgres.Plan) postgres.Plan {
	p.Counts.Unscanned = 0
	return p
}

// doneOf is how many items of how many are decided.
func doneOf(p postgres.Plan) (done, all int64) {
	n := p.Counts
	if p.State == postgres.PlanUndoing {
		all = int64(n.Applied + n.Undone + n.Kept)
		return all - int64(n.Applied), all
	}
	all = int64(n.Planned())
	return all - int64(n.Open), all
}

func repairLine(p postgres.Plan) string {
	done, all := doneOf(p)
	return fmt.Sprintf("%s of %s (%s)%s", thousands(done), thousands(all), percent(done, all), repairTail(p))
}

func repairBar(p postgres.Plan, columns int) string {
	done, all := doneOf(p)
	head := fmt.Sprintf("%6s", percent(done, all))
	tail := fmt.Sprintf(" %s/%s%s", thousands(done), thousands(all), repairTail(p))
	bar := ""
	if room := columns - utf8.RuneCountInString(head+tail) - 3; room >= narrowBar {
		bar = " |" + filled(done, all, min(room, wideBar)) + "|"
	}
	return clip(head+bar+tail, columns)
}

func repairTail(p postgres.Plan) string {
	n := p.Counts
	tail := fmt.Sprintf(", %d applied, %d skipped, %d failed", n.Applied, n.Skipped, n.Failed)
	if p.State == postgres.PlanUndoing {
		tail = fmt.Sprintf(", %d undone, %d kept", n.Undone, n.Kept)
	}
	switch {
	case n.Open > 0 && p.State == postgres.PlanApplying:
	case n.Unverified > 0 && p.State == postgres.PlanApplying:
		tail += fmt.Sprintf(", %d to be verified", n.Unverified)
	case n.Unscanned > 0:
		tail += fmt.Sprintf(", %s to be scanned", counted(n.Unscanned, "project", "projects"))
	}
	return tail
}

// outcome says what became of an order; it is an error if not all went well.
func (x *parts) outcome(p postgres.Plan) error {
	fmt.Fprintf(x.process.Stdout, "plan %d: %s\n", p.ID, countsText(p.Counts))
	if n := p.Counts.Unscanned; n > 0 {
		fmt.Fprintf(x.process.Stderr, "regmend: warning: %s not scanned again yet, as nothing is scanned for now\n", counted(n, "project is", "projects are"))
	}
	switch n := p.Counts; {
	case p.State == postgres.PlanUndoing && n.Kept > 0:
		return fmt.Errorf("%s kept: see regmend repair show %d", counted(n.Kept, "row was", "rows were"), p.ID)
	case p.State == postgres.PlanApplying && n.Failed > 0:
		return fmt.Errorf("%s failed: see regmend repair show %d", counted(n.Failed, "item", "items"), p.ID)
	}
	return nil
}
