package tasks_test

import (
	"context"
	"testing"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

// asynq panics at what it did not write: whoever looks at a queue is told by an
// error.
func TestAQueueWithForeignEntriesIsAnErrorAtMost(t *testing.T) {
	ctx := context.Background()
	rdb := redistest.New(t)
	batch := tasks.Batch{Name: "b"}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	prefix := "asynq:{" + tasks.QueueScan + "}:"
	for _, key := range []string{"t:" + batch.String(), "pending", "active", "lease", "paused", "processed", "failed", "groups"} {
		for _, kind := range []func(){
			func() { rdb.Set(ctx, prefix+key, "x", 0) },
			func() { rdb.HSet(ctx, prefix+key, "msg", "\xff\xff", "state", "none", "pending_since", "x") },
			func() { rdb.LPush(ctx, prefix+key, "none:such") },
			func() { rdb.Do(ctx, "ZADD", prefix+key, "1e300", "x") },
		} {
			rdb.FlushAll(ctx)
			if err := tasks.Enqueue(ctx, tasks.NewClient(rdb), tasks.QueueScan, batch, tasks.Scan{Run: 1, IDs: []int64{1}}); err != nil {
				t.Fatal(err)
			}
			rdb.Del(ctx, prefix+key)
			kind()
			_, _ = tasks.Info(inspector, tasks.QueueScan) // that it returns is the test
			_, _ = tasks.Active(context.Background(), rdb)
			_, _, _ = tasks.Requeue(ctx, rdb, batch, []byte(`{"run":1,"ids":[1],"after":0}`))
		}
	}
}
