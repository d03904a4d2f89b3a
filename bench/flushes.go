package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// flushes compares the SQL of flushes with COPY of the same rows.
func (b *bench) flushes(ctx context.Context) error {
	b.tell("%d results, flushed and copied", b.size.flushes)
	if err := b.fill(ctx, shape{Projects: b.size.flushes}); err != nil {
		return err
	}
	if err := b.newRun(ctx); err != nil {
		return err
	}
	var flushed, copied sample
	for range b.size.rounds {
		w, err := b.writes(ctx, b.size.flushes)
		if err != nil {
			return err
		}
		b.tell("  flush %.0f, COPY %.0f results a second", w.flush, w.copied)
		flushed, copied = append(flushed, w.flush), append(copied, w.copied)
	}
	b.add(
		figure{Name: "flush, the SQL part", Values: flushed, Unit: "results/s"},
		figure{Name: "COPY of the same rows", Values: copied, Unit: "results/s"},
		figure{Name: "flush / COPY", Values: flushed.over(copied), Goal: goal{atLeast, 0.65}},
	)
	return nil
}

// newRun begins a run.
func (in *installation) newRun(ctx context.Context) error {
	if err := in.clearRedis(ctx); err != nil {
		return err
	}
	return in.regmend(ctx, "run", "new", "--reason", "bench")
}

// queue measures what the queue alone can do.
func (b *bench) queue(ctx context.Context) error {
	b.tell("%d tasks that do nothing", b.size.noops)
	var s sample
	for range b.size.rounds {
		rate, err := b.noops(ctx, b.size.noops)
		if err != nil {
			return err
		}
		s = append(s, rate)
	}
	b.add(figure{Name: "asynq's no-op, 8 workers", Values: s, Unit: "tasks/s"})
	return nil
}

// noops enqueues tasks, and then lets asynq work on them with an empty handler.
func (in *installation) noops(ctx context.Context, n int) (perSecond float64, err error) {
	if err := in.clearRedis(ctx); err != nil {
		return 0, err
	}
	rdb := redis.NewClient(&redis.Options{Addr: in.redis.Addr})
	defer rdb.Close()
	client := asynq.NewClientFromRedisClient(rdb)
	for range n {
		if _, err := client.EnqueueContext(ctx, asynq.NewTask("noop", nil)); err != nil {
			return 0, fmt.Errorf("enqueue: %w", err)
		}
	}
	ended := make(chan struct{}, n)
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{Concurrency: 8, LogLevel: asynq.FatalLevel})
	began := time.Now()
	err = server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		ended <- struct{}{}
		return nil
	}))
	if err != nil {
		return 0, err
	}
	defer server.Shutdown()
	for range n {
		select {
		case <-ended:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
