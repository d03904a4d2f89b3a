package tasks_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// silent says nothing: what a Server tells of itself is not what is tested.
type silent struct{}

func (silent) Debug(...any) {}
func (silent) Info(...any)  {}
func (silent) Warn(...any)  {}
func (silent) Error(...any) {}
func (silent) Fatal(...any) {}

func TestQueue(t *testing.T) {
	rdb := redistest.New(t)
	client, inspector := tasks.NewClient(rdb), asynq.NewInspectorFromRedisClient(rdb)
	if info, err := tasks.Info(inspector, tasks.QueueScan); err != nil || info.Size != 0 {
		t.Errorf("Info() of a queue that never was = %+v, %v", info, err)
	}
	if running, err := tasks.Active(context.Background(), rdb); err != nil || len(running) != 0 {
		t.Errorf("Active() of queues that never were = %v, %v", running, err)
	}
	batch, scan := tasks.Batch{Name: "b", Generation: 1}, tasks.Scan{Run: 3, IDs: []int64{7}}
	for range 2 {
		if err := tasks.Enqueue(context.Background(), client, tasks.QueueScan, batch, scan); err != nil {
			t.Errorf("Enqueue() = %v", err)
		}
	}
	if info, err := tasks.Info(inspector, tasks.QueueScan); err != nil || info.Pending != 1 {
		t.Errorf("Info() = %+v, %v, want one pending task", info, err)
	}

	running := active(t, newServer(rdb, tasks.QueueScan), rdb)
	want := []tasks.Running{{Batch: batch, Payload: []byte(`{"run":3,"ids":[7],"after":0}`)}}
	if diff := cmp.Diff(want, running); diff != "" {
		t.Errorf("Active() (-want +got):\n%s", diff)
	}
}

func TestEnqueueAll(t *testing.T) {
	rdb, ctx := redistest.New(t), context.Background()
	all := []tasks.Enqueued{
		{Batch: tasks.Batch{Name: "a"}, Scan: tasks.Scan{Run: 3, IDs: []int64{7}}},
		{Batch: tasks.Batch{Name: "b"}, Scan: tasks.Scan{Run: 3, IDs: []int64{8}}},
		{Batch: tasks.Batch{Name: "c"}, Scan: tasks.Scan{Run: 3, IDs: []int64{9}}},
	}
	// Redis does not know the script yet, knows it, and has all but one of them.
	for enqueued := 1; enqueued <= len(all); enqueued++ {
		if err := tasks.EnqueueAll(ctx, rdb, tasks.QueueScan, all[:enqueued]); err != nil {
			t.Fatal(err)
		}
		waiting, err := asynq.NewInspectorFromRedisClient(rdb).ListPendingTasks(tasks.QueueScan)
		if err != nil {
			t.Fatal(err)
		}
		var got []tasks.Enqueued
		for _, task := range waiting {
			batch, err := tasks.ParseBatch(task.ID)
			if err != nil {
				t.Fatal(err)
			}
			scan, err := tasks.DecodeScan(task.Payload)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, tasks.Enqueued{Batch: batch, Scan: scan})
		}
		if diff := cmp.Diff(all[:enqueued], got); diff != "" {
			t.Errorf("in the queue (-want +got):\n%s", diff)
		}
	}
	if err := tasks.EnqueueAll(ctx, rdb, tasks.QueueScan, []tasks.Enqueued{{Batch: tasks.Batch{Name: "d"}}}); err == nil {
		t.Error("EnqueueAll() took a scan of no projects")
	}
	if err := tasks.EnqueueAll(ctx, rdb, tasks.QueueScan, nil); err != nil {
		t.Errorf("EnqueueAll() of none = %v", err)
	}
}

func TestRequeue(t *testing.T) {
	rdb := redistest.New(t)
	batch, payload := tasks.Batch{Name: "b", Generation: 2}, []byte(`{"run":3,"ids":[7],"after":0}`)
	requeue := func(what string, wantEnqueued, wantEnded bool) {
		t.Helper()
		enqueued, ended, err := tasks.Requeue(context.Background(), rdb, batch, payload)
		if err != nil || enqueued != wantEnqueued || ended != wantEnded {
			t.Errorf("Requeue() of %s = %v, %v, %v, want %v, %v", what, enqueued, ended, err, wantEnqueued, wantEnded)
		}
	}
	requeue("a new one", true, false)
	requeue("one that waits", false, false)
	want := []tasks.Running{{Batch: batch, Payload: payload}}
	if diff := cmp.Diff(want, active(t, newServer(rdb, tasks.QueueRescue), rdb)); diff != "" {
		t.Errorf("Active() (-want +got):\n%s", diff)
	}
	requeue("one that has ended", false, true)
	if _, _, err := tasks.Requeue(context.Background(), rdb, batch.Next(), []byte("{}")); err == nil {
		t.Error("Requeue() took a payload that is none")
	}
}

func newServer(rdb redis.UniversalClient, queue string) *asynq.Server {
	return asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: 1, Queues: map[string]int{queue: 1},
		Logger: silent{}, TaskCheckInterval: 10 * time.Millisecond,
	})
}

// active returns what is active while a handler runs.
func active(t *testing.T, server *asynq.Server, rdb redis.UniversalClient) []tasks.Running {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		close(begun)
		<-end
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	defer close(end)
	select {
	case <-begun:
	case <-time.After(30 * time.Second):
		t.Fatal("the task did not begin")
	}
	running, err := tasks.Active(context.Background(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	return running
}
