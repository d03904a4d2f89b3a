package main

import (
	"math"
	"slices"
)

// sample is what the rounds of one figure gave.
type sample []float64

// median is the middle one, NaN if there is none.
func (s sample) median() float64 { return s.quantile(0.5) }

// spread is how far the middle half of the rounds lies apart: what another run may
// as well differ by.
func (s sample) spread() float64 {
	if len(s) == 0 {
		return 0
	}
	return s.quantile(0.75) - s.quantile(0.25)
}

// quantile interpolates between the two rounds next to it.
func (s sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below+1 == len(sorted) {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// over is the quotient of each round: what disturbs the machine disturbs both.
func (s sample) over(other sample) sample {
	quotients := make(sample, min(len(s), len(other)))
	for i := range quotients {
		quotients[i] = s[i] / other[i]
	}
	return quotients
}
