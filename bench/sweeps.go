package main

import (
	"context"
	"fmt"
	"time"
)

const ofSweep = "a sweep"

// sweeps measures what a sweep costs, and compares it with scanning.
func (b *bench) sweeps(ctx context.Context) error {
	for _, step := range []func(context.Context) error{b.sweepCosts, b.sweepGain} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sweepCosts sweeps a large installation at a registry that answers at once.
func (b *bench) sweepCosts(ctx context.Context) error {
	if b.size.swept == 0 {
		return nil
	}
	b.tell("%d projects, no delay: sweeps", b.size.swept)
	s := b.setting(b.size.swept, 0, defaultSlots)
	s.sweep = true
	if err := b.fill(ctx, s.orders.Shape); err != nil {
		return err
	}
	done, err := b.race(ctx, b.size.rounds, b.sweeper(s))
	if err != nil {
		return err
	}
	own, at := done[ofSweep], fmt.Sprintf("sweep, %d projects", b.size.swept)
	b.add(
		figure{Name: at + ": requests for the catalog", Values: each(own, func(o outcome) float64 { return float64(o.Stub.Catalog) }), Goal: goal{atMost, 101}},
		figure{Name: at + ": requests for tags / candidates", Values: each(own, func(o outcome) float64 {
			return float64(o.Stub.Tags) / float64(o.candidates)
		}), Goal: goal{atMost, 1}},
		figure{Name: at + ": requests in all", Values: each(own, func(o outcome) float64 { return float64(o.Stub.Requests) })},
		figure{Name: at + ", from its beginning to the last row", Unit: "s", Values: each(own, outcome.seconds), Goal: goal{atMost, 30}},
	)
	b.addMemory(at, own[len(own)-1])
	return nil
}

// defaultSlots is what max_concurrency is unless it is set.
const defaultSlots = 2

// sweepGain compares sweeping with scanning at a registry that takes its time. A
// scan may work for a while only: its rate is the same all the time.
func (b *bench) sweepGain(ctx context.Context) error {
	if b.size.comparable == 0 {
		return nil
	}
	const delay = 5 * time.Millisecond
	b.tell("%d projects, %s, %d slots: a sweep and scans", b.size.comparable, delay, defaultSlots)
	s := b.setting(b.size.comparable, delay, defaultSlots)
	if err := b.fill(ctx, s.orders.Shape); err != nil {
		return err
	}
	scan := s
	s.sweep, scan.most = true, b.size.scanned
	done, err := b.race(ctx, b.size.rounds,
		contestant{ofRegmend, func(ctx context.Context) (outcome, error) { return b.scan(ctx, scan) }}, b.sweeper(s))
	if err != nil {
		return err
	}
	at := fmt.Sprintf("%s registry, %d projects, cap %d", delay, b.size.comparable, defaultSlots)
	swept, scanned := rates(done[ofSweep]), rates(done[ofRegmend])
	b.add(
		figure{Name: "a scan for each project, " + at, Values: scanned, Unit: "projects/s"},
		figure{Name: "sweep, " + at, Values: swept, Unit: "projects/s"},
		figure{Name: "sweep / scan for each project, " + at, Values: swept.over(scanned), Goal: goal{atLeast, 100}},
	)
	return nil
}

func (b *bench) sweeper(s setting) contestant {
	return contestant{ofSweep, func(ctx context.Context) (outcome, error) { return b.scan(ctx, s) }}
}

func (o outcome) seconds() float64 { return o.Ended.Sub(o.Began).Seconds() }

const selectSwept = `
SELECT started_at, state, reason, proven, candidates
FROM regmend.sweeps`

// swept adds what the one sweep says of itself. It fails unless all the results
// are the sweep's but those of projects that miss something: these are scans', the
// second looks at them.
func (in *installation) swept(ctx context.Context, o *outcome) error {
	var s struct {
		StartedAt  time.Time `db:"started_at"`
		State      string    `db:"state"`
		Reason     string    `db:"reason"`
		Proven     int64     `db:"proven"`
		Candidates int64     `db:"candidates"`
	}
	if err := in.sql.GetContext(ctx, &s, selectSwept); err != nil {
		return err
	}
	if want := in.all() - in.shape.missing(); s.Proven != want || s.Reason != "" {
		return fmt.Errorf("the sweep (%s %s) proved %d of %d projects", s.State, s.Reason, s.Proven, want)
	}
	o.Began, o.candidates = s.StartedAt, s.Candidates
	return nil
}
