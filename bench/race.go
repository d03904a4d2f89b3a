package main

import (
	"context"
	"fmt"
)

// contestant is one way to do the work.
type contestant struct {
	name string
	run  func(context.Context) (outcome, error)
}

// race lets the contestants work in turn, A B C A B C, and returns what each did
// in its rounds.
func (b *bench) race(ctx context.Context, rounds int, contestants ...contestant) (map[string][]outcome, error) {
	done := map[string][]outcome{}
	for round := range rounds {
		for _, c := range contestants {
			o, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", c.name, round+1, err)
			}
			b.tell("  %s, round %d: %.0f projects a second", c.name, round+1, o.rate())
			done[c.name] = append(done[c.name], o)
		}
	}
	return done, nil
}

// each takes one number of every outcome.
func each(outcomes []outcome, number func(outcome) float64) sample {
	var s sample
	for _, o := range outcomes {
		s = append(s, number(o))
	}
	return s
}

func rates(outcomes []outcome) sample { return each(outcomes, outcome.rate) }
