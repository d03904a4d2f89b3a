package main

import (
	"context"
	"testing"
	"time"

	"regmend/shared/servers"

	"github.com/hibiken/asynq"
)

// What asynq makes of a task whose hash is gone: it stays in active for ever.
func TestRedisTaskWithoutHash(t *testing.T) {
	t.Parallel()
	r := newRedisSide(t)
	ctx, client := t.Context(), r.client()
	begun, end := make(chan struct{}, 3), make(chan struct{})
	queue := asynq.NewClientFromRedisClient(client)
	for range 3 {
		if _, err := queue.Enqueue(asynq.NewTask("scan", nil), asynq.Queue("scan")); err != nil {
			t.Fatal(err)
		}
	}
	worker := asynq.NewServerFromRedisClient(client, asynq.Config{Concurrency: 1, Queues: map[string]int{"scan": 1}, LogLevel: asynq.FatalLevel})
	err := worker.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		begun <- struct{}{}
		<-end
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Shutdown()
	<-begun
	for _, list := range []string{"active", "pending"} {
		if found, err := r.forget(ctx, list, 1); !found {
			t.Fatalf("no task is %s: %v", list, err)
		}
	}
	checkClean(t, r, false)
	close(end)
	<-begun
	err = servers.Await(ctx, "one task is left, without a message", 5*time.Second, func(ctx context.Context) (bool, error) {
		left, err := client.LLen(ctx, "asynq:{scan}:active").Result()
		return left == 1, err
	})
	if err != nil {
		t.Fatal(err)
	}
	checkClean(t, r, false)
	client.Del(ctx, "asynq:{scan}:active")
	checkClean(t, r, true)
}

func checkClean(t *testing.T, r *redisSide, want bool) {
	t.Helper()
	if clean, err := r.clean(t.Context()); clean != want || err != nil {
		t.Errorf("clean() = %t, %v, want %t", clean, err, want)
	}
}
