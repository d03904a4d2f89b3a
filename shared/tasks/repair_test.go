package tasks_test

import (
	"context"
	"testing"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"
)

func TestRepairPayload(t *testing.T) {
	want := tasks.Repair{Run: 3, Plan: 5, Order: 7, Undo: true, From: 1, To: 100}
	task, err := tasks.NewRepair(tasks.QueueRepair, tasks.Batch{Name: "b"}, want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tasks.DecodeRepair(task.Payload()); err != nil || got != want {
		t.Errorf("DecodeRepair() = %v, %v", got, err)
	}
	for _, payload := range []string{
		``, `5`, `{}`, `{"run":3,"sweep":5}`, `{"run":3,"plan":5,"order":7,"undo":false,"from":1,"to":0}`, `{"run":3,"plan":5,"order":7,"undo":false,"from":0,"to":1}`,
		`{"run":3,"plan":5,"order":7,"from":1,"to":1}`, `{"run":0,"plan":5,"order":7,"undo":false,"from":1,"to":1}`, `{"run":3,"plan":5,"order":7,"undo":false,"from":1,"to":1} `, `{"plan":5,"run":3,"order":7,"undo":false,"from":1,"to":1}`,
	} {
		if r, err := tasks.DecodeRepair([]byte(payload)); err == nil {
			t.Errorf("DecodeRepair(%s) = %v", payload, r)
		}
	}
}

// A task of a repair is enqueued once, runs in its own queue, and is taken up again
// by whoever is alive.
func TestARepairsItemsHaveOneTask(t *testing.T) {
	ctx := context.Background()
	rdb := redistest.New(t)
	task := tasks.Repair{Run: 3, Plan: 5, Order: 7, From: 1, To: 100}
	for range 2 {
		if err := tasks.EnqueueRepair(ctx, rdb, task); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := tasks.Waiting(ctx, rdb, tasks.QueueRepair); err != nil || n != 1 {
		t.Errorf("%d tasks wait, %v, want 1", n, err)
	}
	running := active(t, newServer(rdb, tasks.QueueRepair), rdb)
	if len(running) != 1 {
		t.Fatalf("Active() = %v", running)
	}
	enqueued, ended, err := tasks.Requeue(ctx, rdb, running[0].Batch.Next(), running[0].Payload)
	if n, waitErr := tasks.Waiting(ctx, rdb, tasks.QueueRescue); !enqueued || ended || err != nil || n != 1 || waitErr != nil {
		t.Errorf("Requeue() = %v, %v, %v; %d wait to be rescued, %v", enqueued, ended, err, n, waitErr)
	}
}
