package tasks_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
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
	if running, err := tasks.Active(inspector); err != nil || len(running) != 0 {
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

	running := active(t, asynq.NewServerFromRedisClient(rdb, serverConfig()), inspector)
	want := []tasks.Running{{Batch: batch, Queue: tasks.QueueScan, Payload: []byte(`{"run":3,"ids":[7],"after":0}`)}}
	if diff := cmp.Diff(want, running); diff != "" {
		t.Errorf("Active() (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		what            string
		batch           tasks.Batch
		enqueued, ended bool
	}{
		{"one that has ended", batch, false, true},
		{"a new one", batch.Next(), true, false},
		{"one that waits", batch.Next(), false, false},
	} {
		enqueued, ended, err := tasks.Requeue(context.Background(), rdb, tasks.QueueScan, test.batch, running[0].Payload)
		if err != nil || enqueued != test.enqueued || ended != test.ended {
			t.Errorf("Requeue() of %s = %v, %v, %v, want %v, %v", test.what, enqueued, ended, err, test.enqueued, test.ended)
		}
	}
	if _, _, err := tasks.Requeue(context.Background(), rdb, tasks.QueueScan, batch.Next(), []byte("{}")); err == nil {
		t.Error("Requeue() took a payload that is none")
	}
}

func serverConfig() asynq.Config {
	return asynq.Config{
		Concurrency: 1, Queues: map[string]int{tasks.QueueScan: 1},
		Logger: silent{}, TaskCheckInterval: 10 * time.Millisecond,
	}
}

// active returns what is active while a handler runs.
func active(t *testing.T, server *asynq.Server, inspector *asynq.Inspector) []tasks.Running {
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
	running, err := tasks.Active(inspector)
	if err != nil {
		t.Fatal(err)
	}
	return running
}
