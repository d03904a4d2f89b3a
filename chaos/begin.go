package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"regmend/shared/servers"
)

// begin lets regmend begin to work on the installation.
func (in *installation) begin(ctx context.Context) error {
	if err := in.migrate(ctx); err != nil {
		return err
	}
	if err := in.database.grantRuntime(ctx); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if err := in.persist(ctx, "settings", "set", key, settings[key]); err != nil {
			return err
		}
	}
	in.caps.changed(time.Time{}, time.Now(), usualCap)
	var err error
	if in.witness, err = in.watch(ctx); err != nil {
		return fmt.Errorf("watch the result table: %w", err)
	}
	if in.repairs != nil {
		if err := in.beginRepairs(ctx); err != nil {
			return fmt.Errorf("allow repairs: %w", err)
		}
	}
	in.registry.position = in.sweepPosition
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if in.plain, err = startPlain(ctx, in.dir, in.redis.options(), self, plainVerb); err != nil {
		return err
	}
	if in.fleet, err = in.newFleet(); err != nil {
		return err
	}
	return in.enable(ctx)
}

// enable enables scanning and returns when there is a result.
func (in *installation) enable(ctx context.Context) error {
	if err := in.persist(ctx, "enable"); err != nil {
		return err
	}
	return servers.Await(ctx, "regmend works", time.Minute, func(context.Context) (bool, error) {
		return in.witness.completedSince(0, 0), errNotYet
	})
}

// migrate makes or upgrades regmend's schema, as its owner.
func (in *installation) migrate(ctx context.Context) error {
	return servers.Await(ctx, "regmend migrate succeeds", 2*time.Minute, func(ctx context.Context) (bool, error) {
		cmd := exec.CommandContext(ctx, in.program, "migrate")
		cmd.Dir, cmd.Env = in.dir, append(in.environ(), "REGMEND_DATABASE_URL="+in.database.ownerURL())
		out, err := cmd.CombinedOutput()
		in.said("migrate", out)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err == nil, err
	})
}

// crash kills the worker and starts another one, as the fleet's supervisor does.
func (p *plain) crash() error { return errors.Join(p.kill(), p.restart()) }

func words(ids []int64) []string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(id, 10)
	}
	return words
}
