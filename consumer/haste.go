package consumer

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long a command of Redis may take with all its tries, and how long once the
// process stops.
const commandTimeout, hastyTimeout = 3 * time.Second, 500 * time.Millisecond

// haste is a hook that bounds the commands of Redis in time. asynq gives them no
// deadline, so a Redis that hangs would keep it from stopping.
type haste struct{ timeout atomic.Int64 }

func newHaste() *haste {
	h := &haste{}
	h.timeout.Store(int64(commandTimeout))
	return h
}

// begin makes the commands from now on hurry.
func (h *haste) begin() { h.timeout.Store(int64(hastyTimeout)) }

func (h *haste) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(h.timeout.Load()))
}

// DialHook leaves connecting to the client's own timeouts.
func (h *haste) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook bounds a command.
func (h *haste) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, cancel := h.bound(ctx)
		defer cancel()
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook bounds a pipeline.
func (h *haste) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := h.bound(ctx)
		defer cancel()
		return next(ctx, cmds)
	}
}
