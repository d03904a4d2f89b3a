// Package haste bounds what is asked of Redis in time, more tightly once a process
// stops: asynq sets no deadline, and a Redis that hangs would keep it from stopping.
package haste

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long a command may take with all its tries, and how long once the process
// stops.
const usual, hasty = 3 * time.Second, 500 * time.Millisecond

// Haste is a hook of a Redis client, which must have ContextTimeoutEnabled.
type Haste struct{ timeout atomic.Int64 }

// New returns one that is in no haste.
func New() *Haste {
	h := &Haste{}
	h.timeout.Store(int64(usual))
	return h
}

// Begin makes the commands from now on hurry.
func (h *Haste) Begin() { h.timeout.Store(int64(hasty)) }

func (h *Haste) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(h.timeout.Load()))
}

// DialHook leaves connecting to the client's own timeouts.
func (h *Haste) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook bounds a command.
func (h *Haste) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, cancel := h.bound(ctx)
		defer cancel()
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook bounds a pipeline.
func (h *Haste) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := h.bound(ctx)
		defer cancel()
		return next(ctx, cmds)
	}
}
