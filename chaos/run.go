package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"regmend/shared/gitlab/gitlabtest"

	"golang.org/x/sync/errgroup"
)

// pass goes through a schedule once.
type pass struct {
	*installation
	seed uint64
	tell func(format string, args ...any)

	mu      sync.Mutex
	records []*record
}

// record is what became of one fault.
type record struct {
	kind     string
	step     int
	at       time.Time
	survived bool
	why      string        // it was not survived
	unmade   string        // why the fault could not be made: it is none
	recovery time.Duration // of one in a quiet window; 0 where it was not measured
	plain    *plainWatch
	answer   *badAnswer // of a single one
}

// badAnswer is one that was prepared for the next listing of a project.
type badAnswer struct {
	project gitlabtest.Project
	given   func() bool
	remove  func()
	quiet   bool
	scan    int64 // the last number before
	epoch   int
}

// steps goes through the schedule until it is through or the time is over, and
// returns how many steps it made.
func (r *pass) steps(ctx context.Context, steps []step, until time.Time) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	var keeping errgroup.Group
	keeping.Go(func() error { return r.keepWorking(ctx) })
	defer func() { cancel(); _ = keeping.Wait() }()
	for i, s := range steps {
		if time.Now().After(until) {
			return i, nil
		}
		began := time.Now()
		if err := r.step(ctx, s); err != nil {
			return i, fmt.Errorf("step %s: %w", s, err)
		}
		r.tell("%5.1fs  %s", time.Since(began).Seconds(), s)
	}
	return len(steps), nil
}

func (r *pass) step(ctx context.Context, s step) error {
	if s.quiet != nil {
		return r.quiet(ctx, s)
	}
	return r.storm(ctx, s)
}

// quiet makes one fault while everything else works, and measures how long it
// takes until work goes on.
func (r *pass) quiet(ctx context.Context, s step) error {
	r.registry.alone.Store(true)
	defer r.registry.alone.Store(false)
	rec := r.record(s.quiet.name, s.number)
	h, err := r.inject(ctx, *s.quiet, s.dice(r.seed, 0, 0), rec)
	if err != nil || rec.why != "" || rec.unmade != "" {
		return err
	}
	err = r.back(ctx, h, s.quiet.limit)
	var late damage
	switch {
	case errors.As(err, &late):
		rec.why = late.what
		return r.back(ctx, healed{since: time.Now()}, stormLimit) // the next fault is to meet work
	case err != nil:
		return err
	}
	rec.recovery = time.Since(h.since)
	rec.survived = true
	return nil
}

// slow is how long a fault may take without being told of.
const slow = 30 * time.Second

// inject makes a fault from its beginning to its end. What regmend did wrong
// meanwhile is recorded, and that the fault could not be made, as while another
// one lasts; an error says that the harness itself has to end.
func (r *pass) inject(ctx context.Context, k kind, dice *rand.Rand, rec *record) (healed, error) {
	began := time.Now()
	h, err := k.inject(ctx, r.installation, dice)
	var wrong damage
	if errors.As(err, &wrong) {
		rec.why = wrong.what
		return h, nil
	}
	if ctx.Err() != nil {
		return h, err
	}
	if took := time.Since(began); took > slow {
		r.tell("%s took %s", k.name, took.Round(time.Second))
	}
	if err != nil {
		rec.unmade = fmt.Sprintf("%s could not be made: %v", k.name, err)
		r.tell("%s", rec.unmade)
		return healed{since: time.Now()}, nil
	}
	if h.plain {
		watched := r.plain.watch(began, h.since)
		rec.plain = &watched
	}
	return h, nil
}

// back waits until work goes on after a fault.
func (r *pass) back(ctx context.Context, h healed, limit time.Duration) error {
	condition := h.back
	if condition == nil {
		var err error
		if condition, err = r.resultsSince(ctx); err != nil {
			return err
		}
	}
	err := await(ctx, "work goes on", limit-time.Since(h.since), condition)
	if err != nil && ctx.Err() == nil {
		return damagef("work did not go on within %s: %v", limit, err)
	}
	return err
}

// resultsSince tells whether a result of a scan that begins from now on is in
// the table.
func (r *pass) resultsSince(ctx context.Context) (func(context.Context) (bool, error), error) {
	var scan int64
	var epoch int
	err := await(ctx, "Postgres tells the scan number", time.Minute, func(ctx context.Context) (ok bool, err error) {
		scan, epoch, err = r.witness.lastNumber(ctx)
		return err == nil, err
	})
	return func(context.Context) (bool, error) { return r.witness.completedSince(scan, epoch), errNotYet }, err
}

// stormLimit is how long it may take until work goes on after a storm.
const stormLimit = 90 * time.Second

// storm lets many things break at once.
func (r *pass) storm(ctx context.Context, s step) error {
	if err := r.spoil(ctx, s); err != nil {
		return err
	}
	mine := make([][]*record, len(s.lanes))
	var lanes errgroup.Group
	for l, lane := range s.lanes {
		lanes.Go(func() error {
			for i, k := range lane {
				rec := r.record(k.name, s.number)
				mine[l] = append(mine[l], rec)
				if _, err := r.inject(ctx, k, s.dice(r.seed, l, i), rec); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := lanes.Wait(); err != nil {
		return err
	}
	err := r.back(ctx, healed{since: time.Now()}, stormLimit)
	var late damage
	if err != nil && !errors.As(err, &late) {
		return err
	}
	for _, rec := range slices.Concat(mine...) {
		if rec.why == "" {
			rec.why, rec.survived = late.what, late.what == ""
		}
	}
	return nil
}

// spoil begins a run, in which every project is to be listed, and prepares the
// step's bad answers.
func (r *pass) spoil(ctx context.Context, s step) error {
	if len(s.singles) == 0 {
		return nil
	}
	if err := r.newRun(ctx, "chaos: a storm begins"); err != nil {
		return err
	}
	scan, epoch, err := r.witness.lastNumber(ctx)
	if err != nil {
		return err
	}
	quiet := len(s.lanes) == 0
	var answers []*badAnswer
	var ids []int64 // one answer each: the next listing may be a minute away
	for i, k := range s.singles {
		for n := range s.times(k) {
			dice := s.dice(r.seed, 100+i, n)
			p := r.pick(dice)
			for slices.Contains(ids, p.ID) {
				p = r.pick(dice)
			}
			a := &badAnswer{project: p, quiet: quiet, scan: scan, epoch: epoch}
			a.given, a.remove = r.registry.spoil(p.FullPath, k.spoil(p, dice))
			r.record(k.name, s.number).answer = a
			answers = append(answers, a)
			ids = append(ids, p.ID)
		}
	}
	if err := r.hasten(ctx, ids); err != nil {
		return err
	}
	if !quiet {
		return nil
	}
	return r.allGiven(ctx, answers)
}

// hasten enqueues the projects a few at a time, so that one that makes everyone
// hold does not keep the others waiting. Some may be deleted by now, and
// something may be away: then they come up by themselves.
func (r *pass) hasten(ctx context.Context, ids []int64) error {
	var some errgroup.Group
	some.SetLimit(4)
	for few := range slices.Chunk(ids, 4) {
		some.Go(func() error {
			_, _, _, err := r.regmend(ctx, append([]string{"enqueue"}, words(few)...)...)
			return err
		})
	}
	return some.Wait()
}

// allGiven waits until the bad answers were given.
func (r *pass) allGiven(ctx context.Context, answers []*badAnswer) error {
	err := await(ctx, "all bad answers are given", 3*time.Minute, func(context.Context) (bool, error) {
		for _, a := range answers {
			if !a.given() {
				return false, fmt.Errorf("%s was not listed", a.project.FullPath)
			}
		}
		return true, nil
	})
	return err
}

func (r *pass) record(kind string, step int) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &record{kind: kind, step: step, at: time.Now()}
	r.records = append(r.records, rec)
	return rec
}

// workEvery is the pause between two looks for work, atLeast so many tasks are
// to wait, and some so many projects are forced where they do not.
const (
	workEvery = time.Second
	atLeast   = 10
	some      = 2_000
)

// keepWorking forces projects whenever little is left to do, so that faults
// always meet work.
func (r *pass) keepWorking(ctx context.Context) error {
	dice := rand.New(rand.NewPCG(r.seed, 1))
	tick := time.NewTicker(workEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if waiting, err := r.waiting(ctx); err == nil && waiting < atLeast {
			_ = r.forceSome(ctx, dice, min(some, len(r.world.Projects)/2)) // something may be away
		}
	}
}

// waiting are the tasks that no worker has taken yet.
func (r *pass) waiting(ctx context.Context) (n int64, err error) {
	for _, queue := range []string{"scan", "adhoc"} {
		pending, err := r.redis.client().LLen(ctx, "asynq:{"+queue+"}:pending").Result()
		if err != nil {
			return 0, err
		}
		n += pending
	}
	return n, nil
}

// rest lets regmend finish: every project of the run is analysed.
func (r *pass) rest(ctx context.Context) (status, error) {
	for _, rec := range r.records {
		if rec.answer != nil {
			rec.answer.remove()
		}
	}
	if err := r.setCap(ctx, usualCap); err != nil {
		return status{}, err
	}
	if err := r.persist(ctx, "settings", "set", "scan_enabled", "true"); err != nil {
		return status{}, err
	}
	var s status
	again := time.Now()
	err := await(ctx, "every project is analysed", 4*time.Minute, func(ctx context.Context) (ok bool, err error) {
		now, err := r.status(ctx)
		if err != nil {
			return false, err
		}
		s = now
		if s.Failed > 0 && time.Since(again) > 10*time.Second {
			again = time.Now()
			_, _, _, err = r.regmend(ctx, "enqueue", "--failed")
		}
		return s.Pending == 0 && s.Stashed != nil && *s.Stashed == 0 && s.Failed == r.routeless(), err
	})
	return s, err
}

// routeless are the projects that can only fail.
func (r *pass) routeless() (n int64) {
	for _, p := range r.world.Projects {
		if p.Routeless && !p.PendingDelete {
			n++
		}
	}
	return n
}
