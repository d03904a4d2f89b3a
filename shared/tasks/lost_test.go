package tasks_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"
)

// A task whose hash was evicted while it waited is given out to nobody, but
// stays active.
func TestDropLost(t *testing.T) {
	rdb, ctx := redistest.New(t), context.Background()
	lost, kept := tasks.Batch{Name: "lost"}, tasks.Batch{Name: "kept"}
	for _, b := range []tasks.Batch{lost, kept} {
		if err := tasks.Enqueue(ctx, tasks.NewClient(rdb), tasks.QueueScan, b, tasks.Scan{Run: 3, IDs: []int64{7}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := rdb.Del(ctx, "asynq:{scan}:t:"+lost.String()).Err(); err != nil {
		t.Fatal(err)
	}
	active(t, newServer(rdb, tasks.QueueScan), rdb) // takes both
	if err := rdb.LPush(ctx, "asynq:{scan}:active", kept.String()).Err(); err != nil {
		t.Fatal(err) // as of a process that was killed
	}
	drop := func(what string, want int) {
		t.Helper()
		if n, err := tasks.DropLost(ctx, rdb, tasks.QueueScan); err != nil || n != want {
			t.Errorf("DropLost() %s = %d, %v, want %d", what, n, err, want)
		}
	}
	drop("while the lease lasts", 0)
	past := float64(time.Now().Add(-time.Minute).Unix())
	for _, b := range []tasks.Batch{lost, kept} {
		if err := rdb.Do(ctx, "ZADD", "asynq:{scan}:lease", past, b.String()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	drop("afterwards", 1)
	left, err := rdb.LRange(ctx, "asynq:{scan}:active", 0, -1).Result()
	if err != nil || len(left) != 1 || left[0] != kept.String() {
		t.Errorf("active are %v, %v, want the one whose message is there", left, err)
	}
	if n := rdb.Exists(ctx, "asynq:{scan}:t:"+lost.String()).Val(); n != 0 {
		t.Error("what was left of the lost task is still there")
	}
}
