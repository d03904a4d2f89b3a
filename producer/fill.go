package producer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/sirupsen/logrus"
)

const (
	// window is how many projects one statement of the walk looks at.
	window = 10_000
	// fillTimeout ends a tick that got stuck; the walk goes on where it was.
	fillTimeout = 5 * time.Minute
)

var errDisabled = errors.New("scanning is disabled")

// fill enqueues what is missing to a few minutes of work: on a tick always,
// else only if the queue is half empty.
func (p *Producer) fill(ctx context.Context, tick bool) error {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	state, err := p.watch.Now()
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if !state.Settings.ScanEnabled {
		return errDisabled
	}
	if state.Run.ID == 0 {
		return p.firstRun(ctx)
	}
	if err := p.checkRun(ctx, state); err != nil {
		return err
	}
	if sweeping, err := p.sweeping(ctx, state, tick); err != nil || sweeping {
		return err
	}
	scanned, err := p.board.Scanned(ctx)
	if err != nil {
		return err
	}
	p.rate.observe(scanned, time.Now())
	target := depth(p.rate.perMinute(), state.Settings)
	p.cfg.Metrics.depth(target)
	if !tick {
		if wanted, err := p.wantsMore(ctx, state, target); err != nil || !wanted {
			return err
		}
	}
	queued, err := p.queued(ctx)
	if err != nil || queued.waiting >= target {
		return err
	}
	return p.walk(ctx, state, target-queued.waiting, queued)
}

// firstRun begins the first run of all.
func (p *Producer) firstRun(ctx context.Context) error {
	registry, err := p.registry(ctx)
	if err != nil {
		return fmt.Errorf("the first run cannot begin: %w", err)
	}
	mark, err := p.board.RunMark(ctx)
	if err != nil {
		return err
	}
	if mark.Run != 0 {
		return fmt.Errorf("redis remembers run %d, the database knows none: it was restored; if that is meant, begin a new run: regmend run new --reason …", mark.Run)
	}
	run, err := p.db.NewRun(ctx, "first run", registry, 0)
	if err != nil {
		return err
	}
	p.log.WithFields(logrus.Fields{"run": run.ID, "registry": run.Registry}).Info("a run begins")
	return p.board.Begin(ctx, board.RunMark{Run: run.ID, Scan: run.Scan})
}

// checkRun returns why nothing may be enqueued for the current run. The mark
// compared is that of a look before, for it has to be older than the state; while
// there is no such state, what was found last stands.
func (p *Producer) checkRun(ctx context.Context, state postgres.State) error {
	if !p.remembered.At.IsZero() && !p.remembered.At.Before(state.ReadAt) {
		return p.disagrees
	}
	p.disagrees = state.Agrees(p.remembered, "")
	mark, err := p.board.RunMark(ctx)
	if err != nil {
		return err
	}
	p.remembered = postgres.Remembered{Run: mark.Run, Scan: mark.Scan, At: time.Now()}
	return p.disagrees
}

// wantsMore tells whether the queue may be in need of more before the next tick.
// It is asked every second, all the time: two round trips, and between two laps,
// which is where an installation mostly is, one.
func (p *Producer) wantsMore(ctx context.Context, state postgres.State, target int) (bool, error) {
	at, ok, err := p.board.Walk(ctx)
	if err != nil || ok && at.Ended && !p.overdue(at, state) {
		return false, err
	}
	waiting, err := tasks.Waiting(ctx, p.rdb, tasks.QueueScan)
	return waiting <= target/2, err
}

// overdue tells whether a lap that has ended is not this state's, or is old enough
// for another.
func (p *Producer) overdue(at board.Walk, state postgres.State) bool {
	return at.Run != state.Run.ID || at.Scope != fmt.Sprint(state.Settings.Scope) ||
		time.Since(at.Started) >= state.Settings.LapInterval
}

// load is what the queues hold, in tasks.
type load struct {
	waiting int // to be scanned, not begun
	total   int // waiting and begun, those of every queue from which results come
}

// queued counts the queues' tasks. Archived ones are nobody's any more: their
// projects come up again in the next lap. So do those of tasks that were lost,
// which would be counted as running for ever.
func (p *Producer) queued(ctx context.Context) (load, error) {
	var l load
	for _, queue := range tasks.Queues() {
		lost, err := tasks.DropLost(ctx, p.rdb, queue)
		if err != nil {
			return l, err
		}
		if lost > 0 {
			p.log.WithFields(logrus.Fields{"queue": queue, "tasks": lost}).
				Warn("Redis has lost tasks: their projects come up again; is its maxmemory-policy noeviction?")
		}
		info, err := tasks.Info(p.inspector, queue)
		if err != nil {
			return l, err
		}
		if queue == tasks.QueueScan {
			l.waiting = info.Pending + info.Scheduled + info.Retry
		}
		switch queue {
		case tasks.QueueSweep, tasks.QueueRetain, tasks.QueueRepair:
		case tasks.QueueConfirm:
			// Those whose time has not come are of no lap: it passes their projects over.
			l.total += info.Pending + info.Active
		default:
			l.total += info.Pending + info.Active + info.Scheduled + info.Retry
		}
	}
	return l, nil
}

// walk walks on through projects until so many batches are enqueued or the end
// of the table is reached.
func (p *Producer) walk(ctx context.Context, state postgres.State, batches int, queued load) error {
	at, err := p.lap(ctx, state, queued)
	if err != nil || at.Ended {
		return err
	}
	bound, err := p.db.HasForeignKey(ctx)
	if err != nil {
		return err
	}
	for batches > 0 && !at.Ended {
		found, err := p.db.Walk(ctx, state.Run, state.Settings.ConfirmAfter, state.Settings.Scope, at.Cursor, window, batches*state.Settings.BatchSize)
		if err != nil {
			return err
		}
		n, next, err := p.enqueue(ctx, state, at, found)
		if err != nil {
			return err
		}
		moved, err := p.board.AdvanceWalk(ctx, at, next)
		if err != nil || !moved {
			return err // another producer walks, or Redis lost the walk
		}
		if err := p.tidy(ctx, state, at, next, bound); err != nil {
			return err
		}
		batches -= n
		at = next
	}
	return nil
}

// tidy drops what the walk passed and nobody needs: looks that count for nothing
// and, as the foreign key would, the results of deleted projects.
func (p *Producer) tidy(ctx context.Context, state postgres.State, from, to board.Walk, bound bool) error {
	last := to.Cursor
	if to.Ended {
		last = math.MaxInt64
	}
	if err := p.db.DropLooks(ctx, state.Run, from.Cursor, last); err != nil || bound {
		return err
	}
	dropped, err := p.db.DropOrphans(ctx, from.Cursor, last)
	if dropped > 0 {
		p.log.WithField("results", dropped).Info("results of deleted projects dropped")
	}
	return err
}

// lap returns where the walk stands, and begins a new lap where there is none,
// or where the last one ended, is old enough and nothing of it is left.
func (p *Producer) lap(ctx context.Context, state postgres.State, queued load) (board.Walk, error) {
	at, ok, err := p.board.Walk(ctx)
	if err != nil {
		return at, err
	}
	scope := fmt.Sprint(state.Settings.Scope)
	begins := !ok || at.Run != state.Run.ID || at.Scope != scope
	if !begins && at.Ended && queued.total == 0 && time.Since(at.Started) >= state.Settings.LapInterval {
		stashed, err := p.stash.State(ctx)
		if err != nil {
			return at, err
		}
		begins = stashed.Entries == 0
	}
	if !begins {
		return at, nil
	}
	now := time.Now()
	next := board.Walk{Run: state.Run.ID, Lap: now.UnixMilli(), Scope: scope, Started: now}
	moved, err := p.board.AdvanceWalk(ctx, at, next)
	if err != nil || !moved {
		return board.Walk{Ended: true}, err
	}
	p.log.WithFields(logrus.Fields{"run": next.Run, "lap": next.Lap}).Info("a lap begins")
	return next, nil
}

// enqueue enqueues what was found as batches, and returns how many there were
// and where the walk stands after them.
func (p *Producer) enqueue(ctx context.Context, state postgres.State, at board.Walk, found postgres.Walked) (int, board.Walk, error) {
	var batches []tasks.Enqueued
	for ids := range slices.Chunk(found.IDs, state.Settings.BatchSize) {
		batch := tasks.LapBatch(at.Run, at.Lap, ids[0])
		batches = append(batches, tasks.Enqueued{Batch: batch, Scan: tasks.Scan{Run: at.Run, IDs: ids}})
	}
	n, kept := len(batches), tasks.Retention(p.rate.perMinute()/float64(state.Settings.BatchSize))
	if err := tasks.EnqueueAll(ctx, p.rdb, tasks.QueueScan, batches, kept); err != nil {
		return 0, at, err
	}
	next := at
	next.Cursor, next.Ended = found.Next, found.End
	if n > 0 {
		p.cfg.Metrics.enqueued(n, len(found.IDs))
		p.log.WithFields(logrus.Fields{"batches": n, "projects": len(found.IDs), "cursor": next.Cursor}).Info("projects enqueued")
	}
	return n, next, nil
}
