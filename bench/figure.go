package main

import "fmt"

// figure is one line of the table.
type figure struct {
	Name   string
	Values sample
	Unit   string
	Goal   goal
	// Skipped says why it was not measured.
	Skipped string
	part    string
}

// goal is what a figure has to reach; its zero value is none.
type goal struct {
	bound bound
	value float64
}

type bound int

const (
	anything bound = iota
	atLeast
	atMost
)

// verdict is how a figure stands to its goal.
type verdict string

const (
	measured verdict = "measured" // there is no goal
	reached  verdict = "reached"
	near     verdict = "within the spread"
	missed   verdict = "missed"
	skipped  verdict = "not measured"
)

// verdict is missed only where another run would not as well reach the goal.
func (f figure) verdict() verdict {
	if f.Skipped != "" {
		return skipped
	}
	distance := f.Goal.distance(f.Values.median())
	switch {
	case f.Goal.bound == anything:
		return measured
	case distance <= 0:
		return reached
	case distance <= f.Values.spread():
		return near
	default:
		return missed
	}
}

// distance is by how much the value falls short.
func (g goal) distance(value float64) float64 {
	if g.bound == atMost {
		return value - g.value
	}
	return g.value - value
}

func (g goal) String() string {
	switch g.bound {
	case atLeast:
		return "≥ " + number3(g.value)
	case atMost:
		return "≤ " + number3(g.value)
	default:
		return ""
	}
}

// number3 writes a number with about three digits.
func number3(n float64) string {
	switch {
	case n != n: //nolint:gocritic // NaN
		return "–"
	case n >= 100:
		return fmt.Sprintf("%.0f", n)
	case n >= 10:
		return fmt.Sprintf("%.1f", n)
	default:
		return fmt.Sprintf("%.3g", n)
	}
}
