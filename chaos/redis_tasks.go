package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"regmend/shared/servers"

	"github.com/redis/go-redis/v9"
)

// injectMissingTask deletes what a task says, of one that is worked on and of
// one that waits.
func injectMissingTask(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	forgotten := map[string]bool{}
	err := servers.Await(ctx, "a task is there to be forgotten", 10*time.Second, func(ctx context.Context) (_ bool, err error) {
		for _, list := range []string{"active", "pending"} {
			if !forgotten[list] && err == nil {
				forgotten[list], err = in.redis.forget(ctx, list, dice.IntN(1000))
			}
		}
		return forgotten["active"] && forgotten["pending"], err
	})
	if !forgotten["active"] && !forgotten["pending"] {
		return healed{}, err
	}
	return healed{since: time.Now()}, nil // in the end the queues have to be clean
}

// forgetTask deletes the hash of the task at place ARGV[1], modulo their number,
// of the list KEYS[1], with the prefix ARGV[2]. It returns 1 if there was one.
var forgetTask = redis.NewScript(`
local n = redis.call('LLEN', KEYS[1])
if n == 0 then return 0 end
return redis.call('DEL', ARGV[2] .. redis.call('LINDEX', KEYS[1], ARGV[1] % n))`)

// scanQueues are where regmend's scans are, sweepQueue where its sweeps.
var scanQueues = []string{"scan", "adhoc"}

const sweepQueue = "sweep"

func (r *redisSide) forget(ctx context.Context, list string, place int) (bool, error) {
	return r.forgetIn(ctx, scanQueues, list, place)
}

// forgetIn does so in the first of the queues that has one.
func (r *redisSide) forgetIn(ctx context.Context, queues []string, list string, place int) (bool, error) {
	for _, queue := range queues {
		prefix := fmt.Sprintf("asynq:{%s}:", queue)
		n, err := forgetTask.Run(ctx, r.client(), []string{prefix + list}, place, prefix+"t:").Int()
		if err != nil || n > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// clean tells whether the queues have no task left that says nothing.
func (r *redisSide) clean(ctx context.Context) (bool, error) {
	for _, queue := range append([]string{sweepQueue}, scanQueues...) {
		prefix := fmt.Sprintf("asynq:{%s}:", queue)
		for _, list := range []string{"active", "pending"} {
			empty, err := r.empty(ctx, prefix, list)
			if err != nil || empty > 0 {
				return false, err
			}
		}
	}
	return true, nil
}

// empty counts the tasks of a list without a message.
func (r *redisSide) empty(ctx context.Context, prefix, list string) (int, error) {
	ids, err := r.client().LRange(ctx, prefix+list, 0, -1).Result()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		there, err := r.client().HExists(ctx, prefix+"t:"+id, "msg").Result()
		if err != nil {
			return 0, err
		}
		if !there {
			n++
		}
	}
	return n, nil
}
