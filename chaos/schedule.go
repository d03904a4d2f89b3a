package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// step is a part of the schedule: one fault in a quiet window, whose recovery is
// measured, or a storm.
type step struct {
	number int
	quiet  *kind
	// lanes are what happens in a storm: each one kind after the other, all at
	// the same time.
	lanes [][]kind
	// single bad answers are given meanwhile, so many of each kind.
	singles []kind
	each    int
}

// times is how often the step gives a single bad answer.
func (s step) times(k kind) int {
	if k.outage {
		return 1
	}
	return s.each
}

// again is how often each outage comes up after its first quiet window: in
// storms, or in other quiet windows. A storm comes after so many quiet windows.
const (
	again         = 2
	quietPerStorm = 19
)

// schedule is decided by the seed alone. It is through when each outage was
// there three times.
func schedule(seed uint64, kinds []kind, faults int) []step {
	dice := rand.New(rand.NewPCG(seed, 0))
	var outages, singles []kind
	for _, k := range kinds {
		switch {
		case k.impossible != "":
		case k.single():
			singles = append(singles, k)
		default:
			outages = append(outages, k)
		}
	}
	var quiet, stormy []kind
	for _, k := range outages {
		if k.meets {
			quiet = append(quiet, slices.Repeat([]kind{k}, 1+again)...)
		} else {
			quiet, stormy = append(quiet, k), append(stormy, k)
		}
	}
	shuffle(dice, quiet)
	storms := max(1, len(quiet)/quietPerStorm)
	lanes := dealLanes(dice, stormy, storms)
	each := eachSingle(singles, storms, faults-len(outages)*(1+again))
	var steps []step
	if len(singles) > 0 {
		steps = append(steps, step{singles: singles, each: 1})
	}
	for i, k := range quiet {
		steps = append(steps, step{quiet: &k})
		if storm := stormAfter(i+1, storms, len(quiet)); storm > stormAfter(i, storms, len(quiet)) {
			steps = append(steps, step{lanes: lanes[storm-1], singles: singles, each: each})
		}
	}
	if len(quiet) == 0 {
		steps = append(steps, step{singles: singles, each: each})
	}
	for i := range steps {
		steps[i].number = i + 1
	}
	return steps
}

// stormAfter is how many storms have come after so many quiet windows: evenly,
// half of the first stretch before the first one and half of it after the last.
func stormAfter(i, storms, quiet int) int { return (2*i*storms + quiet) / (2 * quiet) }

// dealLanes deals each outage to the storms twice, in one lane for each group.
func dealLanes(dice *rand.Rand, outages []kind, storms int) [][][]kind {
	lanes := make([][][]kind, storms)
	for _, group := range groups(outages) {
		var deck []kind
		for range again {
			part := slices.DeleteFunc(slices.Clone(outages), func(k kind) bool { return k.group() != group })
			shuffle(dice, part)
			deck = append(deck, part...)
		}
		for i := range storms {
			from, to := i*len(deck)/storms, (i+1)*len(deck)/storms
			if from < to {
				lanes[i] = append(lanes[i], deck[from:to])
			}
		}
	}
	return lanes
}

// groups are those of the kinds, in their order.
func groups(kinds []kind) []string {
	var groups []string
	for _, k := range kinds {
		if !slices.Contains(groups, k.group()) {
			groups = append(groups, k.group())
		}
	}
	return groups
}

// eachSingle is how often a bad answer that is no outage is given in a storm, so
// that there are enough faults in all.
func eachSingle(kinds []kind, storms, wanted int) int {
	often := 0
	for _, k := range kinds {
		if !k.outage {
			often++
		}
	}
	if often == 0 {
		return 1
	}
	wanted -= len(kinds) + storms*(len(kinds)-often)
	return max(1, (wanted+often*storms-1)/(often*storms))
}

func shuffle(dice *rand.Rand, kinds []kind) {
	dice.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
}

// sweeps tells whether sweeps are begun in the background of the step: in two of
// three. A fault of sweeps brings its own, and one of repairs
// is to meet no other work.
func (s step) sweeps() bool {
	return s.number%3 != 0 && (s.quiet == nil || !slices.Contains(apart, s.quiet.group()))
}

// dice are those of one fault: what it does depends on the seed and on its place
// in the schedule, not on the time that others took.
func (s step) dice(seed uint64, lane, place int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(s.number)<<16|uint64(lane+1)<<8|uint64(place+1)))
}

func (s step) String() string {
	if s.quiet != nil {
		return fmt.Sprintf("%d quiet: %s", s.number, s.quiet.name)
	}
	text := fmt.Sprintf("%d storm:", s.number)
	for _, lane := range s.lanes {
		for _, k := range lane {
			text += " " + k.name
		}
	}
	answers := 0
	for _, k := range s.singles {
		answers += s.times(k)
	}
	if answers > 0 {
		text += fmt.Sprintf(" and %d bad answers", answers)
	}
	return text
}
