package consumer_test

import (
	"math/rand/v2"
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

	mu       sync.Mutex
	began    time.Time
	inFlight int
	inForce  int
	held     time.Time // until then all wait, after a refusal
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
		d.inForce = min(brake.Slots(), d.most)
		if d.fixed > 0 {
			d.inForce = d.fixed
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
		time.Sleep(time.Minute) // until all have ended
	})
}

// look lets the brake look; a step is in force a second later.
func (d *drive) look(t *testing.T, brake *consumer.Brake) {
	d.mu.Lock()
	seen, now := d.seen, time.Now()
	d.seen = board.Traffic{}
	d.mu.Unlock()
	was, reason := brake.Look(now, seen, true, d.most)
	if reason == "" {
		return
	}
	slots := brake.Slots()
	d.steps = append(d.steps, taken{now.Sub(d.began), was, slots, reason})
	t.Logf("%6s  %2d → %2d  %s", now.Sub(d.began), was, slots, reason)
	time.AfterFunc(900*time.Millisecond, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inForce = min(slots, d.most)
	})
}

// scan is one slot, in use while it is among those in force.
func (d *drive) scan(t *testing.T, slot int, lasts time.Duration) {
	for time.Since(d.began) < lasts {
		d.mu.Lock()
		if slot >= d.inForce || time.Now().Before(d.held) {
			d.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			continue
		}
		d.inFlight++
		if d.inFlight > d.most {
			t.Errorf("%d requests in flight, max_concurrency is %d", d.inFlight, d.most)
		}
		status, took := d.answers(d.inFlight, time.Since(d.began))
		d.mu.Unlock()
		time.Sleep(took)
		d.done(status, took)
	}
}

func (d *drive) done(status int, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inFlight--
	switch {
	case status == 429:
		d.seen.Refused++
		d.held = time.Now().Add(time.Second)
	case status >= 500:
		d.seen.Failed++
	default:
		d.seen.Add(board.Traffic{Answers: 1, Took: took})
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

func TestTheBrakeFindsWhatTheRegistryBears(t *testing.T) {
	for name, l := range map[string]time.Duration{"20 ms": 20 * time.Millisecond, "200 ms": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			const settled, end = 2 * time.Minute, 15 * time.Minute
			best := 0.0
			for fixed := 4; fixed <= 16; fixed += 2 {
				d := drive{answers: queueing(l, 6), most: 16, fixed: fixed}
				d.run(t, time.Minute)
				best = max(best, d.perSecond(0, time.Minute))
			}
			d := drive{answers: queueing(l, 6), most: 16}
			d.run(t, end)
			least, most := d.between(settled, end)
			got := d.perSecond(settled, end)
			t.Logf("%d to %d slots, %.1f requests a second, %.1f with the best fixed cap; %d steps", least, most, got, best, len(d.steps))
			if least < 5 || most > 8 {
				t.Errorf("%d to %d slots are in use, want 5 to 8", least, most)
			}
			if got < 0.9*best {
				t.Errorf("%.1f requests a second, the best fixed cap has %.1f", got, best)
			}
		})
	}
}

// Latency that varies without regmend's doing must not cost much, nor often.
func TestTheBrakeLeavesAHealthyRegistryAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const l = 50 * time.Millisecond
	for name, varied := range map[string]answers{
		"it never varies": func(int, time.Duration) (int, time.Duration) { return 200, l },
		"by a half, at random": func(int, time.Duration) (int, time.Duration) {
			return 200, l/2 + time.Duration(random.Int64N(int64(l)))
		},
		"exponentially": func(int, time.Duration) (int, time.Duration) {
			return 200, time.Duration(random.ExpFloat64() * float64(l))
		},
		"one in a hundred takes a second": func(int, time.Duration) (int, time.Duration) {
			if random.IntN(100) == 0 {
				return 200, time.Second
			}
			return 200, l
		},
		"twice as slow every other minute": func(_ int, at time.Duration) (int, time.Duration) {
			return 200, l << (int(at/time.Minute) % 2)
		},
		"three times as slow for ten seconds of each minute": func(_ int, at time.Duration) (int, time.Duration) {
			if at%time.Minute > 50*time.Second {
				return 200, 3 * l
			}
			return 200, l
		},
		"slower and slower": func(_ int, at time.Duration) (int, time.Duration) {
			return 200, l + l*at/(13*time.Minute)
		},
		"one in a hundred fails": func(int, time.Duration) (int, time.Duration) {
			if random.IntN(100) == 0 {
				return 500, l
			}
			return 200, l
		},
	} {
		t.Run(name, func(t *testing.T) {
			const settled, end = 2 * time.Minute, 26 * time.Minute
			fixed := drive{answers: varied, most: 16, fixed: 16}
			fixed.run(t, end)
			d := drive{answers: varied, most: 16}
			d.run(t, end)
			share := d.perSecond(settled, end) / fixed.perSecond(settled, end)
			late := 0
			for _, s := range d.steps {
				if s.at > settled {
					late++
				}
			}
			t.Logf("%.1f %% of the requests without the brake; %d steps in %s", 100*share, late, end-settled)
			if share < 0.97 {
				t.Errorf("%.1f %% of the requests without the brake", 100*share)
			}
			if late > 6 {
				t.Errorf("%d steps in %s", late, end-settled)
			}
		})
	}
}

// phase is what a registry is like from a time on.
type phase struct {
	from    time.Duration
	answers answers
}

func phases(all ...phase) answers {
	return func(n int, at time.Duration) (int, time.Duration) {
		now := all[0]
		for _, p := range all {
			if at >= p.from {
				now = p
			}
		}
		return now.answers(n, at)
	}
}

func TestTheBrakeFollowsTheRegistry(t *testing.T) {
	const l = 50 * time.Millisecond
	well := queueing(l, 100)
	refusing := func(room int) answers {
		return func(n int, _ time.Duration) (int, time.Duration) {
			if n > room {
				return 429, time.Millisecond
			}
			return 200, l
		}
	}
	failing := func(oneIn int) answers {
		n := 0
		return func(int, time.Duration) (int, time.Duration) {
			if n++; n%oneIn == 0 {
				return 500, l
			}
			return 200, l
		}
	}
	slow := queueing(10*l, 100)
	change := func(worse answers) answers {
		return phases(phase{0, well}, phase{5 * time.Minute, worse}, phase{15 * time.Minute, well})
	}
	for name, test := range map[string]struct {
		worse       answers
		after       time.Duration // it became worse
		least, most int           // slots from then on
	}{
		"it bears less":              {queueing(l, 3), time.Minute, 3, 5},
		"it bears one":               {queueing(l, 1), time.Minute, 1, 3},
		"it refuses more than eight": {refusing(8), 10 * time.Second, 4, 9},
		"it refuses more than one":   {refusing(1), time.Minute, 1, 2},
		"one in ten fails":           {failing(10), time.Minute, 1, 1},
		"it is ten times as slow":    {slow, 2 * time.Minute, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive{answers: change(test.worse), most: 16}
			d.run(t, 30*time.Minute)
			if least, most := d.between(2*time.Minute, 5*time.Minute); least != 16 || most != 16 {
				t.Errorf("%d to %d slots before, want 16", least, most)
			}
			if least, most := d.between(5*time.Minute+test.after, 15*time.Minute); least < test.least || most > test.most {
				t.Errorf("%d to %d slots, want %d to %d", least, most, test.least, test.most)
			}
			if least, _ := d.between(25*time.Minute, 30*time.Minute); least != 16 {
				t.Errorf("%d slots 10 min after it was well again, want 16", least)
			}
		})
	}
}

// What does not get better with fewer slots must not starve regmend for ever.
func TestTheBrakeGetsUsedToARegistryThatStaysSlow(t *testing.T) {
	const l = 50 * time.Millisecond
	d := drive{most: 16, answers: phases(phase{0, queueing(l, 100)}, phase{5 * time.Minute, queueing(10*l, 100)})}
	d.run(t, 30*time.Minute)
	if least, _ := d.between(25*time.Minute, 30*time.Minute); least != 16 {
		t.Errorf("%d slots, want 16", least)
	}
}

// A registry that is down is not being overloaded: it costs one step, however
// long it lasts.
func TestAnOutageIsNoReasonToBrakeAgainAndAgain(t *testing.T) {
	const l = 50 * time.Millisecond
	down := func(n int, _ time.Duration) (int, time.Duration) {
		if n > 1 {
			return 503, l
		}
		return 503, 8 * time.Second // as often as one tries for all
	}
	d := drive{most: 16, answers: phases(phase{0, queueing(l, 100)}, phase{5 * time.Minute, down}, phase{15 * time.Minute, queueing(l, 100)})}
	d.run(t, 20*time.Minute)
	if least, _ := d.between(5*time.Minute, 15*time.Minute); least != 12 {
		t.Errorf("%d slots, want 12", least)
	}
}

func TestTheBrakeKeepsWithinTheCap(t *testing.T) {
	for _, most := range []int{1, 2, 3} {
		d := drive{most: most, answers: queueing(50*time.Millisecond, 100)}
		d.run(t, 2*time.Minute)
		if _, got := d.between(time.Minute, 2*time.Minute); got != most {
			t.Errorf("%d slots, max_concurrency is %d", got, most)
		}
	}
}
