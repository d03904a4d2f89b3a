package consumer_test

import (
	"cmp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regmend/consumer"
	"regmend/shared/board"
)

// answers says what a registry answers when so many requests are in flight.
type answers func(inFlight int, at time.Duration) (status int, took time.Duration)

// queueing answers within l, as long as it has no more than room requests.
func queueing(l time.Duration, room float64) answers {
	return func(n int, _ time.Duration) (int, time.Duration) {
		return 200, time.Duration(float64(l) * max(1, float64(n)/room))
	}
}

// drive is a run of the brake against such a registry, in the time of a bubble.
type drive struct {
	answers answers
	most    int
	fixed   int // so many slots instead of the brake's; 0: the brake's
	// late is how long a step takes to be in force; 0: most of a second.
	late time.Duration
	// cap is max_concurrency, where it changes; never above most.
	cap func(at time.Duration) int
	// large tells whether an answer is large, and takes eight times as long.
	large func(at time.Duration) bool
	// page is how long the pages of a sweep's catalog take that the first slot
	// reads; 0: there is no sweep.
	page func(at time.Duration) time.Duration

	mu       sync.Mutex
	began    time.Time
	inFlight int
	inForce  int
	changed  chan struct{} // closed when inForce changes
	held     time.Time     // until then all wait, after a refusal
	seen     board.Traffic
	steps    []taken
	answered []time.Duration // since it began
}

// taken is a step that the brake took.
type taken struct {
	at         time.Duration
	was, slots int
	reason     string
}

// run runs for so long.
func (d *drive) run(t *testing.T, lasts time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d.began = time.Now()
		brake := consumer.NewBrake(d.began)
		d.changed = make(chan struct{})
		d.force(min(brake.Slots(), d.most))
		if d.fixed > 0 {
			d.force(d.fixed)
		}
		for i := range d.most {
			go d.scan(t, i, lasts)
		}
		for range int(lasts / time.Second) {
			time.Sleep(time.Second)
			if d.fixed == 0 {
				d.look(t, brake)
			}
		}
		d.force(d.most)         // those who wait end, too
		time.Sleep(time.Minute) // until all have ended
	})
}

// look lets the brake look; a step is in force later.
func (d *drive) look(t *testing.T, brake *consumer.Brake) {
	d.mu.Lock()
	seen, used, now := d.seen, d.inFlight, time.Now()
	d.seen = board.Traffic{}
	d.mu.Unlock()
	most := d.most
	if d.cap != nil {
		most = d.cap(now.Sub(d.began))
	}
	was, reason := brake.Look(now, seen, used, most)
	slots := min(brake.Slots(), most)
	time.AfterFunc(cmp.Or(d.late, 900*time.Millisecond), func() { d.force(slots) })
	if reason == "" {
		return
	}
	d.steps = append(d.steps, taken{now.Sub(d.began), was, slots, reason})
	t.Logf("%6s  %2d → %2d  %s", now.Sub(d.began), was, slots, reason)
}

// force puts so many slots in force.
func (d *drive) force(slots int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inForce = slots
	close(d.changed)
	d.changed = make(chan struct{})
}

// scan is one slot, in use while it is among those in force.
func (d *drive) scan(t *testing.T, slot int, lasts time.Duration) {
	for time.Since(d.began) < lasts {
		d.mu.Lock()
		if changed, held := d.changed, time.Until(d.held); slot >= d.inForce || held > 0 {
			d.mu.Unlock()
			if held > 0 {
				time.Sleep(held)
			} else {
				<-changed
			}
			continue
		}
		d.inFlight++
		if d.inFlight > d.most {
			t.Errorf("%d requests in flight, max_concurrency is %d", d.inFlight, d.most)
		}
		status, took, large := d.answer(slot)
		d.mu.Unlock()
		time.Sleep(took)
		d.done(status, took, large)
	}
}

// answer is the next answer to a slot.
func (d *drive) answer(slot int) (status int, took time.Duration, large bool) {
	at := time.Since(d.began)
	if slot == 0 && d.page != nil {
		if took = d.page(at); took > 0 {
			return 200, took, true
		}
	}
	status, took = d.answers(d.inFlight, at)
	if d.large != nil && d.large(at) {
		return status, 8 * took, true
	}
	return status, took, false
}

func (d *drive) done(status int, took time.Duration, large bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inFlight--
	switch {
	case status == 429:
		d.seen.Refused++
		d.held = time.Now().Add(time.Second)
	case status >= 500:
		d.seen.Failed++
	case large:
		d.seen.Large.Add(board.Answers{Number: 1, Took: took})
	default:
		d.seen.Small.Add(board.Answers{Number: 1, Took: took})
	}
	if status == 200 {
		d.answered = append(d.answered, time.Since(d.began))
	}
}

// between are the smallest and the largest number of slots in a time.
func (d *drive) between(from, to time.Duration) (least, most int) {
	now := min(2, d.most)
	least, most = 1<<30, 0
	for _, s := range d.steps {
		if s.at > from && s.at <= to {
			least, most = min(least, now), max(most, now)
		}
		if s.at <= to {
			now = s.slots
		}
	}
	return min(least, now), max(most, now)
}

func (d *drive) perSecond(from, to time.Duration) float64 {
	n := 0
	for _, at := range d.answered {
		if at > from && at <= to {
			n++
		}
	}
	return float64(n) / (to - from).Seconds()
}
