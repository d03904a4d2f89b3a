package slots

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A second's requests are spread over at most ticksASecond ticks. Each tick is
// some rights to send one request, which end validFor after it. So that no
// second sees more than it should, a second's rights are handed out for longer
// than one: by their life, and by jitter for what the way to the registry adds.
const (
	ticksASecond = 50
	validFor     = 50 * time.Millisecond
	jitter       = 50 * time.Millisecond
	budgetPeriod = time.Second + validFor + jitter
)

// Limits are what all processes together must keep to.
type Limits struct {
	// Slots is how many may be held; below 1 nothing is granted.
	Slots int
	// PerSecond is how many requests may be sent in any second; 0: as many as
	// the slots allow. Without Slots it says nothing.
	PerSecond int
}

// Budget is the rights of one process to send requests. Its pool fills it with
// rights that come with the answers about slots, each for a moment of its own,
// so that nobody asks Redis before a request. It is safe for concurrent use.
type Budget struct {
	mu      sync.Mutex
	rate    int          // 0: requests are free
	rights  []right      // in the order of their time
	waiting []chan right // each holds one, in the order of their coming

	// Of the last answer, for the next question.
	from   int64   // until then, in ms of Redis' clock, rights were shared out
	credit float64 // the part of a right that was left over
}

// right is a right to send so many requests in a moment.
type right struct {
	at, until time.Time
	requests  int
}

// NewBudget makes a budget that lets everything through until a pool has it.
func NewBudget() *Budget { return &Budget{} }

// Spend returns when one request may be sent, which has to be done at once, or
// with the cause of ctx. Under a rate only who holds a slot gets there.
func (b *Budget) Spend(ctx context.Context) error {
	for {
		r, free, err := b.take(ctx)
		if err != nil || free {
			return err
		}
		if err := sleepUntil(ctx, r.at); err != nil {
			return err
		}
		if time.Now().Before(r.until) {
			return nil
		}
	}
}

// take waits for a right. free: none is needed.
func (b *Budget) take(ctx context.Context) (r right, free bool, err error) {
	b.mu.Lock()
	if b.rate == 0 {
		b.mu.Unlock()
		return right{}, true, nil
	}
	turn := make(chan right, 1)
	b.waiting = append(b.waiting, turn)
	b.serve(time.Now())
	b.mu.Unlock()
	select {
	case r := <-turn:
		return r, r == right{}, nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waiting = slices.DeleteFunc(b.waiting, func(c chan right) bool { return c == turn })
		return right{}, false, fmt.Errorf("wait to send a request: %w", context.Cause(ctx))
	}
}

// serve gives rights to those who wait; those that have ended are dropped. It
// needs b.mu.
func (b *Budget) serve(now time.Time) {
	for len(b.waiting) > 0 && len(b.rights) > 0 {
		r := &b.rights[0]
		if now.Before(r.until) {
			b.waiting[0] <- right{at: r.at, until: r.until, requests: 1}
			b.waiting = b.waiting[1:]
			r.requests--
		} else {
			r.requests = 0
		}
		if r.requests == 0 {
			b.rights = b.rights[1:]
		}
	}
}

// set changes the rate. Without one, everybody goes.
func (b *Budget) set(rate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rate == b.rate {
		return
	}
	b.rate, b.rights, b.from, b.credit = rate, nil, 0, 0
	if rate == 0 {
		for _, turn := range b.waiting {
			turn <- right{}
		}
		b.waiting = nil
	}
}

// limited tells whether there is a rate.
func (b *Budget) limited() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rate > 0
}

// ask is what is asked of Redis. Rights are handed out for a few looks ahead,
// and what nobody took of the next two goes to whoever has none.
func (b *Budget) ask(poll time.Duration) budgetQuestion {
	b.mu.Lock()
	defer b.mu.Unlock()
	return budgetQuestion{
		Rate:    b.rate,
		Ticks:   ticksASecond,
		Period:  budgetPeriod.Milliseconds(),
		Ahead:   5 * poll.Milliseconds(),
		Near:    2 * poll.Milliseconds(),
		From:    b.from,
		Credit:  b.credit,
		Blocked: len(b.waiting),
	}
}

// fill takes in what Redis answered to the question, which was put at the time
// asked. Redis' moments are between asked and now: a right begins by the later
// and ends by the earlier.
func (b *Budget) fill(q budgetQuestion, a budgetAnswer, asked, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q.Rate != b.rate {
		return // they are another rate's
	}
	b.from, b.credit = a.from, a.credit
	b.rights = slices.DeleteFunc(b.rights, func(r right) bool { return !now.Before(r.until) })
	for _, g := range a.granted {
		b.rights = append(b.rights, right{at: now.Add(g.in), until: asked.Add(g.in + validFor), requests: g.requests})
	}
	slices.SortStableFunc(b.rights, func(x, y right) int { return x.at.Compare(y.at) })
	b.serve(now)
}

func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to send a request: %w", context.Cause(ctx))
	}
}
