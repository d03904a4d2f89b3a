package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"regmend/shared/servers"
)

// script is in every request that runs a script, as regmend's and asynq's do.
const script = "evalsha"

// redisFault makes a fault and ends it, unless ctx ends or it fails.
type redisFault func(ctx context.Context, r *redisSide, dice *rand.Rand) error

func redisKinds() []kind {
	const brief = 5 * time.Second
	return []kind{
		redisFault(redisRestarts).kind("restart-aof"),
		redisFault(redisCrashes).kind("crash-aof"),
		redisFault(redisStartsEmpty).kind("restart-empty"),
		redisFault(redisFlushed).kind("flushall"),
		redisAway(45 * time.Second).kind("away-45s"),
		redisRepliesLost(4 * time.Second).kind("replies-lost"),
		redisCut(3 * time.Second).kind("cut-in-script"),
		redisReadOnly(brief).kind("read-only"),
		redisFull(brief).kind("memory-full"),
		{name: "redis/task-hash-missing", inject: injectMissingTask},
		redisFailsOver(3 * time.Second).kind("failover"),
	}
}

// kind injects the fault into a whole Redis at work.
func (f redisFault) kind(name string) kind {
	return kind{name: "redis/" + name, inject: func(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
		if err := in.redis.whole(ctx); err != nil {
			return healed{}, err
		}
		if err := in.working(ctx); err != nil {
			return healed{}, err
		}
		err := f.inject(ctx, in.redis, dice)
		return healed{since: time.Now(), plain: true}, err
	}}
}

// inject leaves no fault behind, whatever happened.
func (f redisFault) inject(ctx context.Context, r *redisSide, dice *rand.Rand) error {
	err := f(ctx, r, dice)
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, r.mend(rest))
}

// during lets a fault last.
func during(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// between rolls a time.
func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}

func redisRestarts(ctx context.Context, r *redisSide, dice *rand.Rand) error {
	if err := r.master().server.Stop(); err != nil {
		return err
	}
	if err := during(ctx, between(dice, 0, time.Second)); err != nil {
		return err
	}
	return r.master().restart(ctx)
}

// redisCrashes cuts the power: what was appended in the last second and had not
// reached the disk is gone. (kill -9 alone would leave it to the system.)
func redisCrashes(ctx context.Context, r *redisSide, dice *rand.Rand) error {
	master := r.master()
	synced, err := master.tail()
	if err != nil {
		return err
	}
	if err := during(ctx, between(dice, 0, time.Second)); err != nil {
		return err
	}
	if err := master.server.Kill(); err != nil {
		return err
	}
	defer r.noteLoss()
	if written, err := master.tail(); err != nil || written.file != synced.file {
		return errors.Join(err, master.restart(ctx))
	}
	return errors.Join(os.Truncate(synced.file, synced.size), master.restart(ctx))
}

func redisStartsEmpty(ctx context.Context, r *redisSide, _ *rand.Rand) error {
	defer r.noteLoss()
	for _, n := range r.nodes {
		if err := errors.Join(n.server.Kill(), n.clear()); err != nil {
			return err
		}
	}
	return r.master().restart(ctx) // mend starts the replica
}

func redisFlushed(ctx context.Context, r *redisSide, _ *rand.Rand) error {
	defer r.noteLoss()
	return r.client().FlushAll(ctx).Err()
}

// redisAway has connections refused and hanging, by turns.
func redisAway(whole time.Duration) redisFault {
	return func(ctx context.Context, r *redisSide, dice *rand.Rand) error {
		for spell, left := time.Duration(0), whole; left > 0; left -= spell {
			spell = min(left, between(dice, whole/20, whole/5))
			hang := dice.IntN(2) == 0
			for _, n := range r.nodes {
				if hang {
					n.proxy.Hang()
				} else {
					n.proxy.Refuse()
				}
			}
			if err := during(ctx, spell); err != nil {
				return err
			}
		}
		return nil
	}
}

// redisRepliesLost has scripts run of whose reply nobody hears.
func redisRepliesLost(whole time.Duration) redisFault {
	return func(ctx context.Context, r *redisSide, dice *rand.Rand) error {
		front := r.master().proxy
		before := front.Lost()
		for spell, left := time.Duration(0), whole; left > 0; left -= spell {
			spell = between(dice, 200*time.Millisecond, 800*time.Millisecond)
			front.LoseReply(script, 1+dice.IntN(3))
			front.SwallowReply(script, 1+dice.IntN(2))
			if err := during(ctx, spell); err != nil {
				return err
			}
		}
		return servers.Await(ctx, "replies are lost", time.Minute, func(context.Context) (bool, error) {
			return front.Lost() > before, nil
		})
	}
}

// redisCut cuts connections as scripts are sent on them, and then all of them.
func redisCut(whole time.Duration) redisFault {
	return func(ctx context.Context, r *redisSide, dice *rand.Rand) error {
		front := r.master().proxy
		for spell, left := time.Duration(0), whole; left > 0; left -= spell {
			spell = between(dice, 50*time.Millisecond, 400*time.Millisecond)
			front.LoseRequest(script, 1+dice.IntN(3))
			front.LoseReply(script, 1+dice.IntN(3))
			if err := during(ctx, spell); err != nil {
				return err
			}
			r.nodes[0].proxy.Cut()
			r.nodes[1].proxy.Cut()
			r.sentinelProxy.Cut()
		}
		return nil
	}
}

// redisReadOnly demotes the master, of which Sentinel is not told.
func redisReadOnly(whole time.Duration) redisFault {
	return func(ctx context.Context, r *redisSide, _ *rand.Rand) error {
		master, other := r.master(), r.replica()
		copies, err := other.copies(ctx)
		if err != nil {
			return err
		}
		if err := master.follow(ctx, other); err != nil {
			return err
		}
		if err := during(ctx, whole); err != nil {
			return err
		}
		// With a copy of the other's data it lost what the other had not yet.
		more, err := other.copies(ctx)
		if more > copies {
			r.noteLoss()
		}
		return err // mend promotes it again
	}
}

func redisFull(whole time.Duration) redisFault {
	return func(ctx context.Context, r *redisSide, _ *rand.Rand) error {
		if err := r.client().ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
			return err
		}
		return during(ctx, whole) // mend gives it back
	}
}

// redisFailsOver has Sentinel make the replica the master. For a time, at most
// stray, the former one takes itself for the master, too. What is written to it
// then is lost, as is what had not reached the other.
func redisFailsOver(stray time.Duration) redisFault {
	return func(ctx context.Context, r *redisSide, dice *rand.Rand) error {
		defer r.noteLoss()
		if err := r.switchMaster(ctx); err != nil {
			return err
		}
		// Sentinel would let it go on for some 10 s; mend has it follow.
		return during(ctx, between(dice, 0, stray))
	}
}

func (r *redisSide) switchMaster(ctx context.Context) error {
	former := r.master()
	err := servers.Await(ctx, "Sentinel agrees to fail over", time.Minute, func(ctx context.Context) (bool, error) {
		err := r.sentinelClient.Failover(ctx, redisMaster).Err()
		return err == nil, err
	})
	if err != nil {
		return err
	}
	// Once begun, only Sentinel can end it.
	return servers.Await(context.WithoutCancel(ctx), "another master", time.Minute, func(ctx context.Context) (bool, error) {
		err := r.ask(ctx)
		return err == nil && r.master() != former, err
	})
}
