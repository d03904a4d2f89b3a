package tasks

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// dropLostScript takes tasks out of a queue's active ones whose message is gone
// and that no worker holds any more.
//
// KEYS: active, lease (asynq's own, see docs/redis.md)
// ARGV: what a task's key begins with
// Result: how many it took out
//
// A worker renews the lease of what it works on; asynq gives out a task without
// a message to nobody, but leaves it active.
var dropLostScript = redis.NewScript(`
local time = redis.call('TIME')
local dropped = 0
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local task = ARGV[1] .. id
  local lease = tonumber(redis.call('ZSCORE', KEYS[2], id) or 0)
  if lease < tonumber(time[1]) and redis.call('HEXISTS', task, 'msg') == 0 then
    redis.call('LREM', KEYS[1], 0, id)
    redis.call('ZREM', KEYS[2], id)
    redis.call('DEL', task)
    dropped = dropped + 1
  end
end
return dropped
`)

// DropLost takes out of a queue what was evicted or deleted of it while it was
// queued, and returns how many there were. Such a task runs nowhere, but counts
// as running for ever, and no Inspector can delete it. Its projects come up
// again in the next lap.
func DropLost(ctx context.Context, rdb redis.UniversalClient, queue string) (int, error) {
	prefix := "asynq:{" + queue + "}:"
	n, err := dropLostScript.Run(ctx, rdb, []string{prefix + "active", prefix + "lease"}, prefix+"t:").Int()
	if err != nil {
		return 0, fmt.Errorf("look for lost tasks in queue %s: %w", queue, err)
	}
	return n, nil
}
