package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

func operatorKinds() []kind {
	return []kind{
		{name: "operator/cap-every-second", inject: capEverySecond},
		{name: "operator/flag-flipped", inject: flipFlag},
		{name: "operator/same-ids-100-times", inject: sameIDs},
		{name: "operator/run-new", inject: runNew},
		{name: "operator/migrate", inject: migrateAgain},
		{name: "operator/settings-out-of-range", inject: badSettings},
		{name: "operator/two-versions", inject: twoVersions},
	}
}

// capEverySecond changes max_concurrency between 0 and 16.
func capEverySecond(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for range 6 {
		if err := in.setCap(ctx, dice.IntN(17)); err != nil {
			return healed{}, err
		}
		<-second.C
	}
	err := in.setCap(ctx, usualCap)
	return healed{since: time.Now()}, err
}

// flipFlag disables and enables scanning. That nobody scans two seconds after
// the flag is down, the registry tells.
func flipFlag(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	for range 2 {
		if err := in.persist(ctx, "disable"); err != nil {
			return healed{}, err
		}
		if err := in.silent(ctx); err != nil {
			enabled := in.persist(ctx, "settings", "set", "scan_enabled", "true")
			return healed{}, errors.Join(enabled, err)
		}
		if err := in.persist(ctx, "settings", "set", "scan_enabled", "true"); err != nil {
			return healed{}, err
		}
	}
	return healed{since: time.Now()}, nil
}

// flagLimit is P13's, and a moment for the request that was on its way.
const flagLimit = 2*time.Second + 200*time.Millisecond

// silent holds the fleet to P13: nothing is asked for while the flag is down. It
// ends when the flag may be up again.
func (in *installation) silent(ctx context.Context) error {
	down := time.Now()
	select {
	case <-time.After(flagLimit + time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, req := range in.registry.requests() {
		if req.start.After(down.Add(flagLimit)) && req.works() {
			return damagef("%s %s was asked for %s after the flag was down", req.kind, req.path, req.start.Sub(down))
		}
	}
	return nil
}

// sameIDs enqueues the same projects a hundred times, every other time by force.
func sameIDs(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	ids := make([]int64, 20)
	for i := range ids {
		ids[i] = in.pick(dice).ID
	}
	var four errgroup.Group
	four.SetLimit(4)
	for i := range 100 {
		four.Go(func() error {
			if i%2 == 0 {
				_ = in.force(ctx, ids...) // something may be away
				return nil
			}
			_, _, _, err := in.regmend(ctx, append([]string{"enqueue"}, words(ids)...)...)
			return err
		})
	}
	err := four.Wait()
	return healed{since: time.Now()}, err
}

func runNew(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	err := in.newRun(ctx, "chaos: an operator wants it")
	return healed{since: time.Now()}, err
}

// migrateAgain upgrades a schema that is what it should be.
func migrateAgain(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	err := in.migrate(ctx)
	return healed{since: time.Now()}, err
}

// badSettings sets what cannot be: each is refused in one line.
func badSettings(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	for _, bad := range [][2]string{
		{"max_concurrency", "-1"},
		{"max_concurrency", "many"},
		{"max_concurrency", "999999999999"},
		{"batch_size", "0"},
		{"page_size", "1001"},
		{"flush_after", "-5s"},
		{"stash_limit", "0"},
		{"witness_share", "101"},
		{"queue_minutes", "NaN"},
		{"no_such_setting", "1"},
		{"scan_enabled", "perhaps"},
	} {
		stdout, stderr, code, err := in.regmend(ctx, "settings", "set", bad[0], bad[1])
		if err != nil {
			return healed{}, err
		}
		if code == 0 || strings.TrimSpace(stderr) == "" || strings.Contains(stderr, "panic") {
			return healed{}, damagef("settings set %s %s: exit code %d: %s%s", bad[0], bad[1], code, stdout, stderr)
		}
	}
	return healed{since: time.Now()}, nil
}

// twoVersions lets a consumer and a producer of another version work beside the
// others.
func twoVersions(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	for _, name := range []string{"consumer1", "producer1"} {
		if err := in.fleet.replace(name, in.older); err != nil {
			return healed{}, err
		}
	}
	err := in.working(ctx)
	for _, name := range []string{"consumer1", "producer1"} {
		err = errors.Join(err, in.fleet.replace(name, in.program))
	}
	return healed{since: time.Now()}, err
}
