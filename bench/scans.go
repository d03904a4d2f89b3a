package main

import (
	"context"
	"fmt"
	"time"
)

// scans compares regmend with the limit at a registry that takes its time.
func (b *bench) scans(ctx context.Context) error {
	for _, delay := range b.size.delays {
		for _, slots := range b.size.caps {
			if err := b.scansAt(ctx, delay, slots); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) scansAt(ctx context.Context, delay time.Duration, slots int) error {
	s := b.setting(b.projectsFor(delay, slots), delay, slots)
	b.tell("%d projects, %s, %d slots", s.orders.Shape.Projects, delay, slots)
	contestants, err := b.scanners(ctx, s)
	if err != nil {
		return err
	}
	done, err := b.race(ctx, b.size.rounds, contestants...)
	if err != nil {
		return err
	}
	own, bare := done[ofRegmend], done[ofLimit]
	at := fmt.Sprintf("%s registry, cap %d", delay, slots)
	judged := delay == 5*time.Millisecond
	b.curves.rates = append(b.curves.rates, bar{at, rates(own).over(rates(bare))})
	b.add(
		figure{Name: "the limit, " + at, Values: rates(bare), Unit: "projects/s"},
		figure{Name: "regmend, " + at, Values: rates(own), Unit: "projects/s"},
		figure{Name: "regmend / limit, " + at, Values: rates(own).over(rates(bare)), Goal: only(judged, goal{atLeast, 0.97})},
		figure{Name: "slots busy, regmend, " + at, Values: each(own, busyAt(slots)), Goal: only(judged, goal{atLeast, 0.97})},
		figure{Name: "slots busy, the limit, " + at, Values: each(bare, busyAt(slots))},
	)
	b.addCosts(at, own, judged)
	return nil
}

// only is the goal where it is one.
func only(judged bool, g goal) goal {
	if !judged {
		return goal{}
	}
	return g
}

func busyAt(slots int) func(outcome) float64 {
	return func(o outcome) float64 { return o.busy(slots) }
}

// addCosts adds what a project costs Redis and Postgres.
func (b *bench) addCosts(at string, own []outcome, judged bool) {
	b.add(
		figure{Name: "Redis round trips a project, " + at, Values: each(own, func(o outcome) float64 {
			return float64(o.Work.RoundTrips) / float64(o.Projects)
		}), Goal: only(judged, goal{atMost, 0.1})},
		figure{Name: "SQL statements a project, " + at, Values: each(own, func(o outcome) float64 {
			return float64(o.Work.Statements) / float64(o.Projects)
		}), Goal: only(judged, goal{atMost, 0.1})},
	)
}

const (
	ofLimit   = "the limit"
	ofRegmend = "regmend"
	ofGitLab  = "GitLab's design"
)

func (b *bench) setting(projects int64, delay time.Duration, slots int) setting {
	return setting{
		orders: orders{Shape: shape{Projects: projects}, Delay: delay}, slots: slots, consumers: b.size.consumers,
	}
}

// projectsFor is how many can be listed in the time there is, in whole batches for
// each slot: at the end of a lap slots run dry, which is not what is measured.
func (b *bench) projectsFor(delay time.Duration, slots int) int64 {
	const batch = 100
	batches := max(int64(b.size.delayed/delay)/batch, 2)
	return batches * batch * int64(slots)
}

// scanners are the limit and regmend on the same requests.
func (b *bench) scanners(ctx context.Context, s setting) ([]contestant, error) {
	if err := b.fill(ctx, s.orders.Shape); err != nil {
		return nil, err
	}
	addresses, err := b.listings(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("find out what a scan asks for: %w", err)
	}
	return []contestant{
		{ofLimit, func(ctx context.Context) (outcome, error) { return b.limit(ctx, s, addresses) }},
		{ofRegmend, func(ctx context.Context) (outcome, error) { return b.scan(ctx, s) }},
	}, nil
}

// haste compares all at a registry that answers at once.
func (b *bench) haste(ctx context.Context) error {
	const slots = 8
	s := b.setting(b.size.hasty, 0, slots)
	b.tell("%d projects, no delay, %d slots", s.orders.Shape.Projects, slots)
	contestants, err := b.scanners(ctx, s)
	if err != nil {
		return err
	}
	contestants = append(contestants, contestant{ofGitLab, func(ctx context.Context) (outcome, error) {
		return b.shipped(ctx, s, b.size.shipped)
	}})
	done, err := b.race(ctx, b.size.rounds, contestants...)
	if err != nil {
		return err
	}
	own, bare, theirs := rates(done[ofRegmend]), rates(done[ofLimit]), rates(done[ofGitLab])
	at := fmt.Sprintf("0 ms registry, cap %d", slots)
	b.curves.rates = append(b.curves.rates, bar{at, own.over(bare)})
	b.add(
		figure{Name: "the limit, " + at, Values: bare, Unit: "projects/s"},
		figure{Name: "regmend, " + at, Values: own, Unit: "projects/s"},
		figure{Name: "GitLab's design, " + at, Values: theirs, Unit: "projects/s"},
		figure{Name: "regmend / limit, " + at, Values: own.over(bare), Goal: goal{atLeast, 0.8}},
		figure{Name: "regmend / GitLab's design, " + at, Values: own.over(theirs), Goal: goal{atLeast, 10}},
	)
	b.addCosts(at, done[ofRegmend], true)
	return nil
}
