package consumer_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

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
			if late > 24 { // one a minute
				t.Errorf("%d steps in %s", late, end-settled)
			}
		})
	}
}

// A catalog whose pages take long, or projects with many repositories, say nothing
// of how the registry is.
func TestTheBrakeComparesLikeWithLike(t *testing.T) {
	const l, end = 20 * time.Millisecond, 20 * time.Minute
	random := rand.New(rand.NewPCG(1, 2))
	within := func(from, to time.Duration, n time.Duration) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration {
			if at >= from && at < to {
				return n
			}
			return 0
		}
	}
	for name, test := range map[string]struct {
		drive       *drive
		least, most int // slots from two minutes on
	}{
		"a sweep before the scans":            {&drive{answers: queueing(l, 6), page: within(0, 30*time.Second, 500*time.Millisecond)}, 5, 8},
		"a sweep beside the scans":            {&drive{answers: queueing(l, 6), page: within(6*time.Minute, 12*time.Minute, 500*time.Millisecond)}, 5, 9},
		"a sweep with a minute for each page": {&drive{answers: queueing(l, 100), page: within(6*time.Minute, 12*time.Minute, time.Minute)}, 16, 16},
		"one in ten is large":                 {&drive{answers: queueing(l, 6), large: func(time.Duration) bool { return random.IntN(10) == 0 }}, 5, 9},
		"for two minutes all are large": {&drive{answers: queueing(l, 100), large: func(at time.Duration) bool {
			return at >= 6*time.Minute && at < 8*time.Minute || random.IntN(20) == 0
		}}, 16, 16},
		"all are large": {&drive{answers: queueing(l, 6), large: func(time.Duration) bool { return true }}, 5, 8},
	} {
		t.Run(name, func(t *testing.T) {
			d := test.drive
			d.most = 16
			d.run(t, end)
			if least, most := d.between(2*time.Minute, end); least < test.least || most > test.most {
				t.Errorf("%d to %d slots are in use, want %d to %d", least, most, test.least, test.most)
			}
		})
	}
}

// What nearly is too much must not be doubled: of its first seconds the registry
// seems a little slower than it is, as on a machine where regmend starts.
func TestTheBrakeDoesNotLeapOverWhatTheRegistryBears(t *testing.T) {
	const l = 200 * time.Millisecond
	d := drive{most: 16, answers: func(n int, at time.Duration) (int, time.Duration) {
		if at < 5*time.Second {
			return 200, l * 114 / 100
		}
		if at > time.Minute && at < time.Minute+3*time.Second {
			return 200, l * 115 / 100
		}
		return queueing(l, 6)(n, at)
	}}
	d.run(t, 5*time.Minute)
	if _, most := d.between(0, 5*time.Minute); most > 10 {
		t.Errorf("%d slots were in use", most)
	}
}

// Before fewer slots are in use nothing can be seen of what they do.
func TestTheBrakeWaitsForItsSteps(t *testing.T) {
	const l = 20 * time.Millisecond
	d := drive{most: 16, late: 9 * time.Second, answers: phases(phase{0, queueing(l, 100)}, phase{3 * time.Minute, queueing(l, 6)})}
	d.run(t, 10*time.Minute)
	if least, most := d.between(6*time.Minute, 10*time.Minute); least < 5 || most > 9 {
		t.Errorf("%d to %d slots are in use, want 5 to 9", least, most)
	}
}

// A registry that takes seconds for each answer gives few to tell a latency from.
func TestTheBrakeReleasesASlowRegistry(t *testing.T) {
	d := drive{most: 16, answers: queueing(20*time.Second, 100)}
	d.run(t, 20*time.Minute)
	if least, _ := d.between(10*time.Minute, 20*time.Minute); least != 16 {
		t.Errorf("%d slots, want 16", least)
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
	if least, _ := d.between(20*time.Minute, 25*time.Minute); least != 16 {
		t.Errorf("%d slots, want 16", least)
	}
	// Whether it is still slow by itself is tried from time to time.
	if share := d.perSecond(20*time.Minute, 30*time.Minute) * (10 * l).Seconds() / 16; share < 0.97 {
		t.Errorf("%.1f %% of the requests without the brake", 100*share)
	}
}

// That the registry was slow by itself when fewer slots were tried may have been
// chance: it must not be believed for ever.
func TestTheBrakeTriesAgainWhatIsUsual(t *testing.T) {
	const l = 50 * time.Millisecond
	bears := queueing(l, 6)
	alike := func(int, time.Duration) (int, time.Duration) { return 200, 3 * l }
	d := drive{most: 16, answers: phases(phase{0, bears}, phase{5 * time.Minute, alike}, phase{6 * time.Minute, bears})}
	d.run(t, 60*time.Minute)
	if _, most := d.between(6*time.Minute, 16*time.Minute); most != 16 {
		t.Errorf("at most %d slots, want 16: it was not misled", most)
	}
	if least, most := d.between(30*time.Minute, 60*time.Minute); least < 5 || most > 9 {
		t.Errorf("%d to %d slots half an hour later, want 5 to 9", least, most)
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

func TestTheBrakeFollowsACapThatChanges(t *testing.T) {
	caps := func(at time.Duration) int {
		switch {
		case at < 5*time.Minute:
			return 16
		case at < 7*time.Minute:
			return 4
		case at < 9*time.Minute:
			return 16
		default:
			return 40
		}
	}
	const l = 50 * time.Millisecond
	d := drive{most: 40, cap: caps, answers: queueing(l, 100)}
	d.run(t, 15*time.Minute)
	for _, part := range []struct {
		name     string
		from, to time.Duration
		slots    float64
	}{
		{"a cap of 16", 2 * time.Minute, 5 * time.Minute, 16},
		{"lowered to 4", 5*time.Minute + 2*time.Second, 7 * time.Minute, 4},
		{"raised again", 7*time.Minute + 2*time.Second, 9 * time.Minute, 16},
		{"raised above what was known to be well", 14 * time.Minute, 15 * time.Minute, 40},
	} {
		if got := d.perSecond(part.from, part.to) * l.Seconds(); got < part.slots-0.1 || got > part.slots+0.1 {
			t.Errorf("%s: %.1f slots are in use, want %.0f", part.name, got, part.slots)
		}
	}
}
