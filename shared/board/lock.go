package board

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// lockScript takes or renews a lock.
//
// KEYS: lock; ARGV: holder, lease in ms
// Result: 1 if the holder has it now, else 0
var lockScript = redis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

// unlockScript removes a lock of that holder, or another string that still is
// what it was.
//
// KEYS: lock; ARGV: holder
// Result: how many were removed
var unlockScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
`)

// Lock takes the lock of that name until lease from now, or renews it for its
// holder; false: somebody else has it. It spares work that would be done
// twice; what must not be done twice needs a fence of its own, for a holder
// can sleep through its lease, and Redis can lose it.
func (b *Board) Lock(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	has, err := lockScript.Run(ctx, b.rdb, []string{lockKey(name)}, holder, lease.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	return has, nil
}

// Unlock removes the lock if it is the holder's.
func (b *Board) Unlock(ctx context.Context, name, holder string) error {
	if err := unlockScript.Run(ctx, b.rdb, []string{lockKey(name)}, holder).Err(); err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}
