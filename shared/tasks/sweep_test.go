package tasks_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
)

func TestSweepPayload(t *testing.T) {
	task, err := tasks.NewSweep(tasks.Batch{Name: "run3.sweep5"}, tasks.Sweep{Run: 3, Sweep: 5})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tasks.DecodeSweep(task.Payload()); err != nil || got != (tasks.Sweep{Run: 3, Sweep: 5}) {
		t.Errorf("DecodeSweep() = %v, %v", got, err)
	}
	for _, payload := range []string{
		``, `5`, `{}`, `{"run":3}`, `{"run":0,"sweep":5}`, `{"run":3,"sweep":-5}`, `{"run":3,"sweep":5,"x":1}`,
		`{"sweep":5,"run":3}`, `{"run":3,"sweep":5} `, `{"run":3,"ids":[5],"after":0}`,
	} {
		if s, err := tasks.DecodeSweep([]byte(payload)); err == nil {
			t.Errorf("DecodeSweep(%s) = %v", payload, s)
		}
	}
}

// A sweep's task that ended without the sweep having ended, or that Redis lost,
// is followed by another one; one that waits or runs is not.
func TestASweepHasOneTask(t *testing.T) {
	ctx := context.Background()
	rdb := redistest.New(t)
	sweep := tasks.Sweep{Run: 3, Sweep: 5}
	enqueue := func(when string, want bool) {
		t.Helper()
		if got, err := tasks.EnqueueSweep(ctx, rdb, sweep); err != nil || got != want {
			t.Errorf("EnqueueSweep() %s = %v, %v, want %v", when, got, err, want)
		}
	}
	enqueue("at first", true)
	enqueue("while it waits", false)
	running := active(t, newServer(rdb, tasks.QueueSweep), rdb)
	want := []tasks.Running{{Batch: tasks.Batch{Name: "run3.sweep5"}, Payload: []byte(`{"run":3,"sweep":5}`)}}
	if diff := cmp.Diff(want, running); diff != "" {
		t.Errorf("Active() (-want +got):\n%s", diff)
	}
	enqueue("when its task has ended", true)
	enqueue("while the next one waits", false)
	if err := rdb.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	enqueue("when Redis has lost it", true)
}

// The sweep of a process that died goes on in the queue of sweeps.
func TestRequeueOfASweep(t *testing.T) {
	ctx := context.Background()
	rdb := redistest.New(t)
	batch := tasks.Batch{Name: "run3.sweep5", Generation: 4}
	enqueued, _, err := tasks.Requeue(ctx, rdb, batch, []byte(`{"run":3,"sweep":5}`))
	if err != nil || !enqueued {
		t.Errorf("Requeue() = %v, %v", enqueued, err)
	}
	task, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(tasks.QueueSweep, batch.String())
	if err != nil || task.Type != tasks.TypeSweep {
		t.Errorf("GetTaskInfo() = %+v, %v", task, err)
	}
}

func TestSweepInWords(t *testing.T) {
	if got, want := tasks.FormatPayload(tasks.TypeSweep, []byte(`{"run":3,"sweep":5}`)), "sweep 5 through the registry's catalog, run 3"; got != want {
		t.Errorf("FormatPayload() = %q, want %q", got, want)
	}
	for want, swept := range map[string]tasks.Swept{
		"1 repository on 1 page, 0 of them nobody's; 7 projects completed, in 1.5 s":                 {Pages: 1, Repositories: 1, Proven: 7, Took: 1500 * time.Millisecond},
		"2000 repositories on 2 pages, 3 of them nobody's; 0 projects completed, in 0.0 s: it ended": {Pages: 2, Repositories: 2000, Unowned: 3, Note: "it ended"},
		"of run 3, discarded": {Note: "of run 3, discarded"},
	} {
		result, err := json.Marshal(swept)
		if err != nil {
			t.Fatal(err)
		}
		if got := tasks.FormatResult(tasks.TypeSweep, result); got != want {
			t.Errorf("FormatResult() = %q, want %q", got, want)
		}
	}
}
