package consumer

import (
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
)

// How the brake keeps time.
const (
	// settles is how long a step takes to be in force everywhere and to show.
	settles = 3 * time.Second
	// A window has enough answers to tell a latency from, if it can be had.
	windowLasts, windowMost     = 2 * time.Second, 30 * time.Second
	windowAnswers, windowFewest = 30, 10
	// raiseEvery is how long the registry has to be well before a slot more is
	// used; what was too much is tried again after as long, doubling up to
	// mostPatience.
	raiseEvery, mostPatience = 10 * time.Second, 5 * time.Minute
	// trustFor is how long a latency counts as usual that fewer slots did not mend.
	trustFor = 10 * time.Minute
)

// What the brake takes for too much.
const (
	// tooSlow is how many times the usual latency is too slow, if besides more
	// than tooMany requests wait in the registry; at notOurs times it does not
	// matter whether fewer slots help.
	tooSlow, tooMany, notOurs = 1.25, 1.5, 4
	// slightly is how many times the usual latency is as good as usual.
	slightly = 1.1
	// leastLatency is below what the differences of latencies mean anything.
	leastLatency = time.Millisecond
	// Failures are a sign from so many on, and from one in so many requests.
	leastFailures, failureShare = 3, 20
	// recovered is how many answers have to come between two steps because of
	// failures; between two because of refusals one has. Without any the registry
	// is down, and that it is is not because of the slots.
	recovered = 10
)

// brake decides how many slots the registry bears: a window of answers at a
// time, it takes a quarter of them away when requests begin to wait in the
// registry, half of them when it refuses, and gives one back when it is well. It
// is pure, of one run, and not safe for concurrent use.
//
// The registry's usual latency is the lowest seen for a while. If a step down
// does not bring it nearer to that, the latency is not regmend's doing: it is
// the usual one from then on, and the slots come back.
type brake struct {
	run   int64
	slots int
	usual time.Duration // 0: not known
	noise time.Duration // by which a window's latency differs from the one's before
	last  time.Duration // of the window before; 0: none since the last step

	window board.Traffic
	began  time.Time // the window, or when it may

	climbing bool // nothing was too much yet
	raised   bool // by the last step
	stepped  time.Time
	slow     int // windows in a row
	failed   int // so many slots were too much; 0: none known
	patience time.Duration
	trial    trial
	trusted  time.Time // until then usual is not lowered
	answers  int64     // since the last refusal or failure that was acted on
}

// trial is a step down that has yet to show that it helps; zero: none.
type trial struct {
	from    int
	latency time.Duration
}

// Causes of verdicts, for metrics.
const (
	becauseSlow    = "slow"
	becauseRefused = "refused"
	becauseFailed  = "failed"
	becauseWell    = "well"
	becauseNotOurs = "not_ours"
)

// verdict is how many slots there should be, and why; zero: as many as now.
type verdict struct {
	slots  int
	cause  string
	reason string
}

// newBrake goes on where the run's last step left off.
func newBrake(state postgres.State, now time.Time) *brake {
	b := &brake{run: state.Run.ID, slots: state.BrakeSlots(), climbing: true, patience: raiseEvery, stepped: now, began: now}
	if last := state.Brake; last.ID != 0 && last.Run == b.run {
		b.climbing, b.usual = false, last.Usual
	}
	return b
}

// observe takes in what the registry answered since the last time. busy: every
// slot was in use; most: how many there may be at most.
func (b *brake) observe(now time.Time, seen board.Traffic, busy bool, most int) verdict {
	if now.Before(b.began) || most < 1 {
		return verdict{}
	}
	b.window.Add(seen)
	b.answers += seen.Answers
	slots, lasted := min(b.slots, most), now.Sub(b.began)
	if v := b.refused(slots); v.slots != 0 {
		return v
	}
	enough := b.window.Answers >= windowAnswers && lasted >= windowLasts
	if !enough && lasted < windowMost {
		return verdict{}
	}
	w := b.window
	b.window, b.began = board.Traffic{}, now
	if w.Answers < windowFewest {
		return verdict{}
	}
	latency := max(w.Took/time.Duration(w.Answers), leastLatency)
	b.learn(now, latency)
	waiting := float64(w.Took) / float64(lasted) * (1 - float64(b.usual)/float64(latency))
	return b.judge(now, slots, most, busy, latency, waiting)
}

// refused decides what refusals and failures mean.
func (b *brake) refused(slots int) verdict {
	if b.answers == 0 {
		b.window.Refused, b.window.Failed = 0, 0 // of tries, whether it works again
	}
	w := b.window
	all := w.Answers + w.Refused + w.Failed
	switch {
	case w.Refused > 0:
		b.answers = 0
		return verdict{max(1, slots/2), becauseRefused, fmt.Sprintf("the registry refused %d of %d requests (429)", w.Refused, all)}
	case w.Failed >= leastFailures && w.Failed*failureShare >= all && b.answers >= recovered:
		b.answers = 0
		return verdict{fewer(slots), becauseFailed, fmt.Sprintf("the registry failed %d of %d requests (5xx)", w.Failed, all)}
	default:
		return verdict{}
	}
}

// fewer is a quarter less, and at least one.
func fewer(slots int) int { return max(1, min(slots-1, (3*slots+3)/4)) }

// learn follows the usual latency and how much it differs by itself.
func (b *brake) learn(now time.Time, latency time.Duration) {
	if b.last != 0 {
		b.noise += (max(latency, b.last) - min(latency, b.last) - b.noise) * 3 / 10
	}
	b.last = latency
	switch {
	case b.usual == 0:
		b.usual = latency
	case latency < b.usual && now.After(b.trusted):
		b.usual -= (b.usual - latency) * 3 / 10
	}
}

// judge decides what the latency of a window means. waiting is how many requests
// waited in the registry.
func (b *brake) judge(now time.Time, slots, most int, busy bool, latency time.Duration, waiting float64) verdict {
	ratio := float64(latency) / float64(b.usual)
	if t := b.trial; t.from != 0 {
		b.trial = trial{}
		if ratio < notOurs && !t.helped(slots, latency) {
			b.usual, b.trusted = max(latency, b.usual), now.Add(trustFor)
			b.failed, b.patience = 0, raiseEvery
			return verdict{min(t.from, most), becauseNotOurs, fmt.Sprintf("answers take %s with fewer slots, too: that is usual now", rounded(latency))}
		}
	}
	if slots == 1 && ratio >= notOurs && now.Sub(b.stepped) >= trustFor {
		b.usual, b.trusted, ratio, waiting = latency, now.Add(trustFor), 1, 0 // there is no waiting for better times
	}
	if waiting > tooMany && float64(latency-3*b.noise) > tooSlow*float64(b.usual) {
		b.slow++
		if b.slow < 2 || slots == 1 {
			return verdict{}
		}
		b.trial = trial{from: slots, latency: latency}
		return verdict{fewer(slots), becauseSlow, fmt.Sprintf("answers take %s, usual are %s", rounded(latency), rounded(b.usual))}
	}
	b.slow = 0
	if well := waiting < 1 || ratio < slightly; !well || ratio >= notOurs || !busy {
		return verdict{}
	}
	return b.more(now, slots, most)
}

// helped tells whether the latency fell by at least half of what it would have,
// had the requests that were too many been all that made it.
func (t trial) helped(slots int, latency time.Duration) bool {
	gone := 1 - float64(slots)/float64(t.from)
	return float64(latency) <= float64(t.latency)*(1-gone/2)
}

// more gives slots back if it is time to.
func (b *brake) more(now time.Time, slots, most int) verdict {
	next, wait := slots+max(1, slots/8), raiseEvery
	if b.climbing {
		next, wait = 2*slots, 0
	}
	if b.failed != 0 && slots < b.failed && next >= b.failed {
		next, wait = b.failed, b.patience
	}
	next = min(next, most)
	if next <= slots || now.Sub(b.stepped) < wait {
		return verdict{}
	}
	return verdict{next, becauseWell, fmt.Sprintf("the registry is well: answers take %s, usual are %s", rounded(b.last), rounded(b.usual))}
}

// step takes the verdict as taken, from so many slots.
func (b *brake) step(now time.Time, was int, v verdict) {
	switch {
	case v.slots < was:
		if b.raised {
			b.patience = min(2*b.patience, mostPatience)
		}
		b.climbing, b.failed = false, was
	case b.failed != 0 && was >= b.failed:
		b.failed, b.patience = 0, raiseEvery
	}
	b.slots, b.raised, b.stepped = v.slots, v.slots > was, now
	b.slow, b.last = 0, 0
	b.window, b.began = board.Traffic{}, now.Add(settles)
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
