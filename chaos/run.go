package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// pass goes through a schedule once.
type pass struct {
	*installation
	seed uint64
	tell func(format string, args ...any)

	sweeping atomic.Bool // sweeps are begun, whatever else is done

	mu      sync.Mutex
	records []*record
	outages []outage
}

// outage is one in a quiet window, for which no project is to blame.
type outage struct {
	kind       string
	begin, end time.Time
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

func (r *pass) record(kind string, step int) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &record{kind: kind, step: step, at: time.Now()}
	r.records = append(r.records, rec)
	return rec
}

// steps goes through the schedule until it is through or the time is over, and
// returns how many steps it made.
func (r *pass) steps(ctx context.Context, steps []step, until time.Time) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	var keeping errgroup.Group
	keeping.Go(func() error { return r.keepWorking(ctx) })
	keeping.Go(func() error { return r.keepSweeping(ctx) })
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

// rare are quiet windows for the outages that could not be made as often as the
// schedule wants them.
func (r *pass) rare(kinds []kind, after []step) (more []step) {
	made := map[string]int{}
	for _, rec := range r.records {
		if rec.unmade == "" {
			made[rec.kind]++
		}
	}
	for _, k := range kinds {
		if k.single() || k.impossible != "" {
			continue
		}
		for range 1 + again - made[k.name] {
			more = append(more, step{number: len(after) + len(more) + 1, quiet: &k})
		}
	}
	return more
}

func (r *pass) step(ctx context.Context, s step) error {
	r.sweeping.Store(s.sweeps())
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
	if !s.quiet.blamed {
		r.outages = append(r.outages, outage{kind: s.quiet.name, begin: rec.at, end: h.since})
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
const slow = 15 * time.Second

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
	err := servers.Await(ctx, "work goes on", limit-time.Since(h.since), condition)
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
	err := servers.Await(ctx, "Postgres tells the scan number", time.Minute, func(ctx context.Context) (ok bool, err error) {
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
