package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
)

// sweep is one of regmend's, and where it is.
type sweep struct {
	ID     int64  `db:"id"`
	Run    int64  `db:"run_id"`
	Scan   int64  `db:"scan_number"`
	State  string `db:"state"`
	Pages  int    `db:"pages"`
	Cursor int64  `db:"cursor"`
	Reason string `db:"reason"`
}

func (s sweep) String() string {
	return fmt.Sprintf("sweep %d is %s at page %d and cursor %d (%s)", s.ID, s.State, s.Pages, s.Cursor, s.Reason)
}

// underWay tells whether there is more to come of it in its run.
func (s sweep) underWay(run int64) bool { return s.ID != 0 && s.Run == run && !ended(s.State) }

const selectLastSweep = `
SELECT id, run_id, scan_number, state, pages, cursor, reason FROM regmend.sweeps ORDER BY id DESC LIMIT 1`

// sweep is the last one, and whether it is under way; the zero one if there was none.
func (in *installation) sweep(ctx context.Context) (s sweep, underWay bool, err error) {
	run, err := in.latestRun(ctx)
	if err != nil {
		return sweep{}, false, err
	}
	err = in.database.sql.GetContext(ctx, &s, selectLastSweep)
	if errors.Is(err, sql.ErrNoRows) {
		return sweep{}, false, nil
	}
	return s, s.underWay(run), err
}

// beginSweep lets an operator begin one. That one is under way, or that something
// is away, is no error.
func (in *installation) beginSweep(ctx context.Context) error {
	_, _, _, err := in.regmend(ctx, "sweep")
	return err
}

const selectPosition = `SELECT position FROM regmend.sweeps WHERE state = 'walking' ORDER BY id DESC LIMIT 1`

// sweepPosition is where in the catalog the sweep is, "" if it does not walk or
// that cannot be told.
func (in *installation) sweepPosition() (position string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := in.database.sql.GetContext(ctx, &position, selectPosition); err != nil {
		return ""
	}
	return position
}

// sweepEvery is the longest pause between two sweeps of a step that has some.
const sweepEvery = 10 * time.Second

// keepSweeping begins sweeps again and again in two of three steps, so that
// faults of every kind meet them in each of their states.
func (r *pass) keepSweeping(ctx context.Context) error {
	dice := rand.New(rand.NewPCG(r.seed, 2))
	for {
		if err := during(ctx, between(dice, time.Second, sweepEvery)); err != nil {
			return nil //nolint:nilerr // the run is over
		}
		if !r.sweeping.Load() {
			continue
		}
		if _, underWay, err := r.sweep(ctx); err == nil && !underWay {
			_ = r.beginSweep(ctx) // something may be away
		}
	}
}

// strategies are those of runs, by turns.
var strategies = []string{"sweep", "auto", "project"}

// nextStrategy sets how the next run is to begin.
func (in *installation) nextStrategy(ctx context.Context) error {
	n := in.runs.Add(1) - 1
	return in.setStrategy(ctx, strategies[n%int64(len(strategies))])
}

func (in *installation) setStrategy(ctx context.Context, strategy string) error {
	return in.persist(ctx, "settings", "set", "strategy", strategy)
}

// meetSweep is how long a sweep may take to run into a fault; stormMeetSweep is
// for a storm, in which something else may keep it away.
const meetSweep, stormMeetSweep = time.Minute, 20 * time.Second

// sweepUntil looks until the condition holds, of the last sweep and whether it is
// under way, and sees to it that there is one meanwhile.
func (in *installation) sweepUntil(ctx context.Context, what string, holds func(s sweep, underWay bool) bool) error {
	limit := stormMeetSweep
	if in.registry.alone.Load() {
		limit = meetSweep
	}
	asked := time.Time{}
	return servers.Await(ctx, what, limit, func(ctx context.Context) (bool, error) {
		s, underWay, err := in.sweep(ctx)
		if err != nil {
			return false, err
		}
		if holds(s, underWay) {
			return true, nil
		}
		if !underWay && time.Since(asked) > time.Second {
			asked = time.Now()
			err = in.beginSweep(ctx)
		}
		return false, errors.Join(err, errors.New(s.String()))
	})
}

// stopAtBeginning makes a sweep wait for the first page of the catalog.
func (in *installation) stopAtBeginning(ctx context.Context, do func(s sweep) error) error {
	release := make(chan struct{})
	b, end := in.registry.interposeFirst(registrytest.Hold(release))
	defer func() { end(); close(release) }()
	var at sweep
	err := in.sweepUntil(ctx, "a sweep asks for the first page", func(s sweep, _ bool) bool {
		at = s
		return b.asked.Load() > 0
	})
	if err != nil {
		return err
	}
	return do(at)
}

// stopAt makes a sweep ask for a page of the catalog, or for a candidate's tags,
// and wait for the answer while do is done.
func (in *installation) stopAt(ctx context.Context, kind registrytest.Kind, do func(s sweep) error) error {
	return in.stopUntil(ctx, kind, func(s sweep, _ func()) error { return do(s) })
}

// stopUntil does so until do lets it go, or has returned.
func (in *installation) stopUntil(ctx context.Context, kind registrytest.Kind, do func(s sweep, letGo func()) error) error {
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var b *screen
	end := func() {}
	defer func() { end(); letGo() }()
	state := walking
	if kind == registrytest.Tags {
		state = judging
	}
	var at sweep
	err := in.sweepUntil(ctx, "a sweep asks for "+string(kind), func(s sweep, underWay bool) bool {
		if underWay && s.State == state && b == nil {
			b, end = in.registry.interpose(kind, 1, registrytest.Hold(release))
		}
		at = s
		return b != nil && b.asked.Load() > 0
	})
	if err != nil {
		return err
	}
	return do(at, letGo)
}

// sweeper is the consumer that has the sweep in hand.
func (in *installation) sweeper(ctx context.Context, s sweep) (string, error) {
	claims, err := in.claims(ctx)
	if err != nil {
		return "", err
	}
	names, err := in.processes(ctx)
	if err != nil {
		return "", err
	}
	c := claims["run"+strconv.FormatInt(s.Run, 10)+".sweep"+strconv.FormatInt(s.ID, 10)]
	for _, member := range in.fleet.consumers() {
		if _, p := in.fleet.running(member); c.Process != "" && names[p.PID()] == c.Process {
			return member, nil
		}
	}
	return "", fmt.Errorf("nobody has the sweep in hand: its claim says %q", c.Process)
}

// cured is a fault of a sweep that is over: from now on the sweep has to go on.
// In a storm nobody waits for that.
func (in *installation) cured(ctx context.Context) (healed, error) {
	since := time.Now()
	if !in.registry.alone.Load() {
		return healed{since: since}, nil
	}
	var was sweep
	err := servers.Await(ctx, "Postgres tells where the sweep is", time.Minute, func(ctx context.Context) (ok bool, err error) {
		was, _, err = in.sweep(ctx)
		return err == nil, err
	})
	if err == nil && was.State == failed {
		err = damagef("the sweep failed: %s", was)
	}
	return healed{since: since, back: func(ctx context.Context) (bool, error) {
		now, _, err := in.sweep(ctx)
		if err != nil {
			return false, err
		}
		return now.State == done || now != was && now.State != failed, errors.New(now.String())
	}}, err
}
