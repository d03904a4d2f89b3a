package consumer

import (
	"fmt"
	"math"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
)

// How the brake keeps time.
const (
	// settles is how long a step takes to be in force everywhere and to show.
	settles = 3 * time.Second
	// A window has enough answers to tell a latency from; after windowMost fewer
	// do, however long they take.
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
// the usual one from then on, and the slots come back. That may be chance, so it
// is tried again after a while.
type brake struct {
	run   int64
	slots int
	usual postgres.Latency
	noise float64 // by which a window's ratio differs from the one's before
	last  float64 // of the window before; 0: none since the last step

	window board.Traffic
	began  time.Time // the window, or when it may

	climbing bool // nothing was too much yet, or nearly
	raised   bool // by the last step
	stepped  time.Time
	slow     int // windows in a row
	failed   int // so many slots were too much; 0: none known
	patience time.Duration
	trial    trial
	trusted  time.Time // until then usual is not lowered
	doubted  bool      // whether usual is the registry's own is still to be tried
	answers  int64     // since the last refusal or failure that was acted on
}

// trial is a step down that has yet to show that it helps; zero: none.
type trial struct {
	from   int
	ratio  float64
	doubts bool // it is of the usual latency
}

// Causes of verdicts, for metrics.
const (
	becauseSlow    = "slow"
	becauseRefused = "refused"
	becauseFailed  = "failed"
	becauseWell    = "well"
	becauseNotOurs = "not_ours"
	becauseDoubted = "doubted"
)

// verdict is how many slots there should be, and why; zero: as many as now.
type verdict struct {
	slots  int
	cause  string
	reason string
}

// newBrake goes on where the run's last step left off.
func newBrake(state postgres.State, now time.Time) *brake {
	b := &brake{run: state.Run.ID, slots: state.BrakeSlots(), climbing: true, patience: raiseEvery, stepped: now}
	b.began = now.Add(settles) // there may have been more slots until now
	if last := state.Brake; last.ID != 0 && last.Run == b.run {
		b.climbing, b.usual, b.doubted = false, last.Usual, last.Usual == postgres.Latency{}
	}
	return b
}

// observe takes in what the registry answered since the last time. used: so many
// slots are in use; most: how many there may be at most.
func (b *brake) observe(now time.Time, seen board.Traffic, used, most int) verdict {
	if now.Before(b.began) || most < 1 {
		return verdict{}
	}
	b.window.Add(seen)
	b.answers += seen.Answers().Number
	slots, lasted := min(b.slots, most), now.Sub(b.began)
	if v := b.refused(slots); v.slots != 0 {
		return v
	}
	if used > slots { // the step is not in force yet
		b.window, b.began = board.Traffic{}, now
		return verdict{}
	}
	n := b.window.Answers().Number
	enough := n >= windowAnswers && lasted >= windowLasts || n >= windowFewest && lasted >= windowMost
	if !enough {
		return verdict{}
	}
	w := b.window
	b.window, b.began = board.Traffic{}, now
	lower := now.After(b.trusted)
	b.usual.Small, b.usual.Large = learn(b.usual.Small, w.Small, lower), learn(b.usual.Large, w.Large, lower)
	r := read(w, lasted, b.usual)
	if b.last != 0 {
		b.noise += (math.Abs(r.ratio()-b.last) - b.noise) * follows
	}
	b.last = r.ratio()
	return b.judge(now, slots, most, used >= slots, r)
}

// begin begins a window anew: what was seen until now is not all there was.
func (b *brake) begin(now time.Time) {
	b.window, b.slow, b.last = board.Traffic{}, 0, 0
	if now.After(b.began) {
		b.began = now
	}
}

// refused decides what refusals and failures mean.
func (b *brake) refused(slots int) verdict {
	if b.answers == 0 {
		b.window.Refused, b.window.Failed = 0, 0 // of tries, whether it works again
	}
	w := b.window
	all := w.Answers().Number + w.Refused + w.Failed
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

// judge decides what a window means.
func (b *brake) judge(now time.Time, slots, most int, busy bool, r reading) verdict {
	ratio := r.ratio()
	if t := b.trial; t.from != 0 {
		b.trial = trial{}
		helped := t.helped(slots, ratio)
		switch {
		case !helped && (ratio < notOurs || t.doubts):
			return b.accept(now, min(t.from, most), t, r)
		case helped && t.doubts && slots > 1:
			return b.doubt(slots, r) // until it does not help any more
		}
	}
	if slots == 1 && ratio >= notOurs && now.Sub(b.stepped) >= trustFor {
		b.trust(now, ratio) // there is no waiting for better times
		r.usual, r.waiting, ratio = r.latency, 0, 1
	}
	if r.waiting > tooMany && ratio-3*b.noise > tooSlow {
		b.slow++
		if b.slow < 2 || slots == 1 {
			return verdict{}
		}
		b.trial = trial{from: slots, ratio: ratio}
		return verdict{fewer(slots), becauseSlow, fmt.Sprintf("answers take %s, usual are %s", rounded(r.latency), rounded(r.usual))}
	}
	b.slow = 0
	well := (r.waiting < 1 || ratio < slightly) && ratio < notOurs
	b.climbing = b.climbing && well
	switch {
	case !well || !busy:
		return verdict{}
	case b.doubted && now.After(b.trusted) && slots > 1 && ratio*slightly > 1: // else usual comes down by itself
		return b.doubt(slots, r)
	default:
		return b.more(now, slots, most, r)
	}
}

// accept takes the latency for the usual one, as fewer slots did not mend it.
func (b *brake) accept(now time.Time, slots int, t trial, r reading) verdict {
	b.failed, b.patience = 0, raiseEvery
	if t.doubts {
		b.usual, b.doubted = times(b.usual, r.ratio()), false
	} else {
		b.trust(now, max(r.ratio(), 1))
	}
	return verdict{slots, becauseNotOurs, fmt.Sprintf("answers take %s with fewer slots, too: that is usual now", rounded(r.latency))}
}

// doubt tries whether fewer slots make the usual latency shorter.
func (b *brake) doubt(slots int, r reading) verdict {
	b.trial = trial{from: slots, ratio: r.ratio(), doubts: true}
	return verdict{fewer(slots), becauseDoubted, fmt.Sprintf("answers take %s: are they faster with fewer slots?", rounded(r.latency))}
}

// trust takes so many times the usual latency for the usual one, for a while.
func (b *brake) trust(now time.Time, ratio float64) {
	b.usual, b.trusted = times(b.usual, ratio), now.Add(trustFor)
	b.doubted = b.doubted || ratio >= slightly
}

// known is the usual latency as far as it is to be relied on.
func (b *brake) known() postgres.Latency {
	if b.doubted {
		return postgres.Latency{}
	}
	return b.usual
}

// helped tells whether the latency fell by at least half of what it would have,
// had the requests that were too many been all that made it.
func (t trial) helped(slots int, ratio float64) bool {
	gone := 1 - float64(slots)/float64(t.from)
	return ratio <= t.ratio*(1-gone/2)
}

// more gives slots back if it is time to.
func (b *brake) more(now time.Time, slots, most int, r reading) verdict {
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
	return verdict{next, becauseWell, fmt.Sprintf("the registry is well: answers take %s, usual are %s", rounded(r.latency), rounded(r.usual))}
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
