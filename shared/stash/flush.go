package stash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// LockFlush tells whether the caller is the one to flush now. The lock ends by
// itself after lease, and before that by unlock, which removes only the
// caller's own; what a flush writes and acks is safe without it.
func (s *Stash) LockFlush(ctx context.Context, lease time.Duration) (unlock func(context.Context), ok bool, err error) {
	holder := uuid.NewString()
	ok, err = lockScript.Run(ctx, s.rdb, []string{flushLockKey()}, holder, lease.Milliseconds()).Bool()
	if err != nil {
		return nil, false, fmt.Errorf("lock the flush: %w", err)
	}
	if !ok {
		return func(context.Context) {}, false, nil
	}
	return func(ctx context.Context) {
		// Not being able to unlock costs the rest of the lease.
		_ = unlockScript.Run(ctx, s.rdb, []string{flushLockKey()}, holder).Err()
	}, true, nil
}

// lockScript takes the lock. The client sends it again when a reply is lost, so
// the holder is given what it has.
//
// KEYS: the lock; ARGV: the holder, its lease in ms
// Result: 1 if the holder has the lock, else 0
var lockScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] or redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
return 0
`)

// unlockScript removes the lock of one holder.
//
// KEYS: the lock; ARGV: the holder
// Result: how many were removed
var unlockScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
`)

// RequestFlush tells whether a flush task should be enqueued: true at most once
// in a window, or until FlushStarted.
func (s *Stash) RequestFlush(ctx context.Context, window time.Duration) (bool, error) {
	err := s.rdb.SetArgs(ctx, flushRequestKey(), "requested", redis.SetArgs{Mode: "NX", TTL: window}).Err()
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("request a flush: %w", err)
	}
	return true, nil
}

// FlushStarted lets the next flush be requested.
func (s *Stash) FlushStarted(ctx context.Context) error {
	if err := s.rdb.Del(ctx, flushRequestKey()).Err(); err != nil {
		return fmt.Errorf("note the flush's start: %w", err)
	}
	return nil
}
