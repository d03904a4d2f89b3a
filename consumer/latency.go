package consumer

import (
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
)

const (
	// leastLatency is below what the differences of latencies mean anything.
	leastLatency = time.Millisecond
	// kindFewest is from how many answers on one kind's usual latency can be told
	// for the first time, and follows is how much of the way it goes at a time.
	kindFewest, follows = 3, 0.3
)

// reading is what a window of answers shows. Small answers are compared with small
// ones and large with large: of what kind they are is no sign of how the registry
// is.
type reading struct {
	latency time.Duration // of an answer
	usual   time.Duration // what the same answers usually take
	waiting float64       // how many requests waited in the registry
}

// ratio is how many times the usual latency it is.
func (r reading) ratio() float64 { return float64(r.latency) / float64(r.usual) }

// read reads a window of so long, which has answers.
func read(w board.Traffic, lasted time.Duration, usual postgres.Latency) reading {
	n := w.Answers().Number
	took := atLeast(w.Small) + atLeast(w.Large)
	r := reading{
		latency: took / time.Duration(n),
		usual:   (expected(w.Small, usual.Small) + expected(w.Large, usual.Large)) / time.Duration(n),
	}
	r.waiting = float64(w.Answers().Took) / float64(lasted) * (1 - 1/r.ratio())
	return r
}

// atLeast is how long the answers took, but no less than can be told.
func atLeast(a board.Answers) time.Duration {
	return max(a.Took, time.Duration(a.Number)*leastLatency)
}

// expected is how long the answers usually take together. Where that is not known
// it is what they took.
func expected(a board.Answers, usual time.Duration) time.Duration {
	if usual == 0 {
		return atLeast(a)
	}
	return time.Duration(a.Number) * usual
}

// learn follows the lowest latency of a kind of answers. A few of them show less
// than many.
func learn(usual time.Duration, a board.Answers, lower bool) time.Duration {
	if a.Number == 0 {
		return usual
	}
	mean := atLeast(a) / time.Duration(a.Number)
	switch {
	case usual == 0 && a.Number >= kindFewest:
		return mean
	case lower && mean < usual:
		share := follows * min(1, float64(a.Number)/windowAnswers)
		return usual - time.Duration(float64(usual-mean)*share)
	default:
		return usual
	}
}

// times is so many times the latency.
func times(l postgres.Latency, ratio float64) postgres.Latency {
	return postgres.Latency{
		Small: time.Duration(float64(l.Small) * ratio),
		Large: time.Duration(float64(l.Large) * ratio),
	}
}

// rounded is a latency with as many digits as mean something.
func rounded(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d < 10*time.Second:
		return d.Round(time.Millisecond)
	default:
		return d.Round(100 * time.Millisecond)
	}
}
