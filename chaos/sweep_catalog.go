package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
)

// catalogFault is one of the catalog alone.
type catalogFault struct {
	name  string
	fault func(r *registrySide, dice *rand.Rand) registrytest.Fault
	// times is how many answers are spoilt; 0: all, for as long as lasts says.
	times int64
	lasts time.Duration
	// whole tells that it has to be there from the walk's beginning, and that of a
	// run: where there are results already, these contradict it.
	whole bool
	// fails are words of the reason for which a sweep fails that meets it.
	fails []string
	// either tells that the sweep may bear it or fail.
	either bool
}

var catalogFaults = []catalogFault{
	{name: "catalog-refused", fault: asItIs(refusedToken), fails: []string{"catalog is not granted"}},
	{name: "catalog-503", fault: asItIs(registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE")), lasts: 2 * time.Second},
	{name: "catalog-cut", fault: func(_ *registrySide, dice *rand.Rand) registrytest.Fault {
		return registrytest.CutShare(dice.Float64())
	}, times: 1},
	{name: "catalog-repeats-a-page", fault: func(r *registrySide, _ *rand.Rand) registrytest.Fault { return r.repeating() }, times: 8},
	{name: "catalog-leads-back", fault: (*registrySide).leadingBack, times: 1},
	{name: "catalog-position-refused", fault: asItIs(registrytest.Status(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID")), times: 1},
	{name: "catalog-of-a-part", fault: func(_ *registrySide, dice *rand.Rand) registrytest.Fault {
		return hiding(10 + dice.Uint32N(80))
	}, whole: true, fails: []string{"whole"}},
	{name: "catalog-empty-for-a-moment", fault: asItIs(emptyCatalog), times: 1},
	{name: "catalog-endless", fault: func(*registrySide, *rand.Rand) registrytest.Fault { return growing() }, lasts: time.Second, either: true},
}

func asItIs(fault registrytest.Fault) func(*registrySide, *rand.Rand) registrytest.Fault {
	return func(*registrySide, *rand.Rand) registrytest.Fault { return fault }
}

// inject puts the fault before a walk that is under way, or at its beginning.
func (f catalogFault) inject(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	times := f.times
	if times == 0 {
		times = endless
	}
	if f.whole {
		if err := in.sweptRun(ctx); err != nil {
			return healed{}, err
		}
	}
	fault := f.fault(in.registry, dice)
	var b *screen
	end := func() {}
	defer func() { end() }()
	err := in.sweepUntil(ctx, "a sweep meets "+f.name, func(s sweep, underWay bool) bool {
		if b == nil && (!f.whole || !underWay || s.State == judging) {
			b, end = in.registry.interpose(registrytest.Catalog, times, fault)
		}
		return b != nil && b.given.Load() > 0
	})
	if err != nil {
		return healed{}, err
	}
	return f.outlast(ctx, in, b, end)
}

// outlast ends the fault when it has done its work.
func (f catalogFault) outlast(ctx context.Context, in *installation, b *screen, end func()) (healed, error) {
	limit := stormWorkLimit
	if in.registry.alone.Load() {
		limit = meetSweep
	}
	switch {
	case len(f.fails) > 0:
		var last sweep
		err := servers.Await(ctx, "the sweep fails", limit, func(ctx context.Context) (bool, error) {
			s, _, err := in.sweep(ctx)
			last = s
			return err == nil && ended(s.State), err
		})
		end()
		if in.registry.alone.Load() && (err != nil || !failedFor(last, f.fails)) {
			return healed{}, damagef("the sweep did not fail because of %q: %s", f.fails, last)
		}
		return healed{since: time.Now()}, nil
	case f.lasts > 0:
		if err := during(ctx, f.lasts); err != nil {
			return healed{}, err
		}
	default:
		err := servers.Await(ctx, fmt.Sprintf("%d pages are spoilt", f.times), limit, func(context.Context) (bool, error) {
			return b.given.Load() >= f.times, nil
		})
		if ctx.Err() != nil {
			return healed{}, err
		}
	}
	end()
	if f.either {
		return healed{since: time.Now()}, nil
	}
	return in.cured(ctx)
}

// failedFor tells whether the sweep failed for a reason with one of the words.
func failedFor(s sweep, words []string) bool {
	return s.State == failed && slices.ContainsFunc(words, func(word string) bool { return strings.Contains(s.Reason, word) })
}
