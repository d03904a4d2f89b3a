package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// sweepKinds are the faults that meet a sweep where it can be hurt.
func sweepKinds() []kind {
	kinds := []kind{
		{name: "sweep/kill-preparing", inject: killAtGate(gateKept), limit: killLimit},
		{name: "sweep/kill-walking", inject: killAt(registrytest.Catalog), limit: killLimit},
		{name: "sweep/kill-after-page", inject: killAtGate(gatePage), limit: killLimit},
		{name: "sweep/kill-asking", inject: killAt(registrytest.Tags), limit: killLimit},
		{name: "sweep/kill-before-cursor", inject: killAtGate(gateCursor), limit: killLimit},
		{name: "sweep/two-believe-it-theirs", inject: freezeSweeper},
		{name: "sweep/task-hash-missing", inject: loseSweepTask},
		{name: "sweep/commit-reply-lost", inject: loseSweepCommit},
		{name: "sweep/connection-terminated", inject: terminateSweep},
		{name: "sweep/run-new", inject: runNewInSweep},
		{name: "sweep/begun-by-many", inject: manySweeps},
		{name: "sweep/project-renamed", inject: renameInSweep},
		{name: "sweep/project-renamed-and-back", inject: renameAndBack},
		{name: "sweep/project-deleted", inject: deleteInSweep},
		{name: "sweep/project-replaced", inject: replaceInSweep},
	}
	for _, f := range catalogFaults {
		// Scans may meet it as well, and then the project is to blame.
		kinds = append(kinds, kind{name: "sweep/" + f.name, inject: f.inject, blamed: true})
	}
	return kinds
}

// killAt kills the consumer that has the sweep in hand while it waits for a page
// of the catalog, or for a candidate's tags.
func killAt(kind registrytest.Kind) func(context.Context, *installation, *rand.Rand) (healed, error) {
	return func(ctx context.Context, in *installation, _ *rand.Rand) (h healed, err error) {
		err = in.stopAt(ctx, kind, func(s sweep) (err error) {
			h, err = in.killSweeper(ctx, s)
			return err
		})
		if kind == registrytest.Tags {
			return h, err // how many are asked, the sweep's row does not tell
		}
		return in.curedToo(ctx, h, err)
	}
}

// killAtGate kills it within a step that has done its work and is not committed.
func killAtGate(g gate) func(context.Context, *installation, *rand.Rand) (healed, error) {
	return func(ctx context.Context, in *installation, _ *rand.Rand) (h healed, err error) {
		if g == gatePage { // so that results rest on the page
			if err := in.sweptRun(ctx); err != nil {
				return healed{}, err
			}
		}
		err = in.meetSweep(ctx, g, func(s sweep) (err error) {
			h, err = in.killSweeper(ctx, s)
			return err
		})
		return in.curedToo(ctx, h, err)
	}
}

// killSweeper kills any consumer in a storm in which Redis does not tell whose
// the sweep is.
func (in *installation) killSweeper(ctx context.Context, s sweep) (healed, error) {
	name, err := in.sweeper(ctx, s)
	if err != nil && !in.registry.alone.Load() {
		name, err = in.fleet.consumers()[0], nil
	}
	if err != nil {
		return healed{}, err
	}
	return in.killOne(ctx, name)
}

// curedToo is h, and over only when the sweep goes on as well.
func (in *installation) curedToo(ctx context.Context, h healed, err error) (healed, error) {
	if err != nil || !in.registry.alone.Load() {
		return h, err
	}
	cured, err := in.cured(ctx)
	batches := h.back
	h.back = func(ctx context.Context) (bool, error) {
		if ok, err := batches(ctx); err != nil || !ok {
			return false, err
		}
		return cured.back(ctx)
	}
	return h, err
}

// freezeSweeper stops the consumer that has the sweep in hand until another one
// is at the same page, and lets it go on: both believe then that it is theirs.
func freezeSweeper(ctx context.Context, in *installation, _ *rand.Rand) (h healed, err error) {
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	err = in.stopUntil(ctx, registrytest.Catalog, func(s sweep, answer func()) error {
		name, err := in.sweeper(ctx, s)
		if err != nil {
			return err
		}
		_, p := in.fleet.running(name)
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		answer() // an open request of a frozen process is more than the cap
		b, end := in.registry.interpose(registrytest.Catalog, endless, registrytest.Hold(release))
		another := servers.Await(ctx, "another consumer goes on with the sweep", killLimit, func(context.Context) (bool, error) {
			return b.asked.Load() > 0, nil
		})
		err = p.Signal(syscall.SIGCONT)
		end()
		letGo()
		if another != nil && in.registry.alone.Load() {
			err = damagef("%v", another)
		}
		return err
	})
	if err != nil {
		return healed{}, err
	}
	return in.cured(ctx)
}

// loseSweepTask deletes what the sweep's task says while it is worked on; by the
// dice its consumer dies of something else.
func loseSweepTask(ctx context.Context, in *installation, dice *rand.Rand) (h healed, err error) {
	dies := dice.IntN(2) == 0
	err = in.stopAt(ctx, registrytest.Catalog, func(s sweep) error {
		lost, err := in.redis.forgetIn(ctx, []string{sweepQueue}, "active", 0)
		if err == nil && !lost {
			err = errors.New("no task carries the sweep on")
		}
		if err == nil && dies {
			_, err = in.killSweeper(ctx, s)
		}
		return err
	})
	if err != nil {
		return healed{}, err
	}
	return in.cured(ctx)
}

// runNewInSweep begins a run while a sweep walks. It is over, and another one can
// begin.
func runNewInSweep(ctx context.Context, in *installation, _ *rand.Rand) (h healed, err error) {
	var old sweep
	err = in.stopAt(ctx, registrytest.Catalog, func(s sweep) error {
		old = s
		return in.newRun(ctx, "chaos: an operator wants it in the middle of a sweep")
	})
	if err != nil {
		return healed{}, err
	}
	return healed{since: time.Now(), back: func(ctx context.Context) (bool, error) {
		now, underWay, err := in.sweep(ctx)
		if err == nil && !underWay && now.ID == old.ID {
			err = in.beginSweep(ctx)
		}
		return now.ID != old.ID && now.State != preparing, err
	}}, nil
}

// manySweeps lets many operators begin one at the same time: each gets another
// one, or is told that there is one.
func manySweeps(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	const operators = 12
	begun := make([]string, operators)
	var all errgroup.Group
	all.SetLimit(4)
	for i := range begun {
		all.Go(func() error {
			stdout, stderr, code, err := in.regmend(ctx, "sweep")
			if err == nil && code != 0 && (code != 1 || strings.Contains(stderr, "panic")) {
				err = damagef("sweep: exit code %d: %s", code, stderr)
			}
			begun[i] = strings.TrimSpace(stdout)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return healed{}, err
	}
	slices.Sort(begun)
	for i, id := range begun {
		if i > 0 && id != "" && id == begun[i-1] {
			return healed{}, damagef("two operators were told that they had begun sweep %s", id)
		}
	}
	return in.cured(ctx)
}
