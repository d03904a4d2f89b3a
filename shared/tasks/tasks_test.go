package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
)

func ids(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = int64(i + 1)
	}
	return list
}

func TestScanPayload(t *testing.T) {
	task, err := tasks.NewScan(tasks.QueueScan, tasks.Batch{Name: "run3.lap1.7", Generation: 2}, tasks.Scan{Run: 3, IDs: []int64{7, 9}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(task.Payload()), `{"run":3,"ids":[7,9],"after":0}`; got != want {
		t.Errorf("payload = %s, want %s", got, want)
	}
	got, err := tasks.DecodeScan(task.Payload())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tasks.Scan{Run: 3, IDs: []int64{7, 9}}, got); diff != "" {
		t.Errorf("DecodeScan() (-want +got):\n%s", diff)
	}
}

func TestScanPayloadsThatAreRefused(t *testing.T) {
	many, err := json.Marshal(ids(tasks.MaxProjects + 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]string{
		"empty":           ``,
		"no JSON":         `scan`,
		"unknown field":   `{"run":3,"ids":[1],"after":0,"force":true}`,
		"trailing data":   `{"run":3,"ids":[1],"after":0}{}`,
		"missing field":   `{"run":3,"ids":[1]}`,
		"other case":      `{"Run":3,"ids":[1],"after":0}`,
		"field twice":     `{"run":3,"run":4,"ids":[1],"after":0}`,
		"no projects":     `{"run":3,"ids":[],"after":0}`,
		"projects null":   `{"run":3,"ids":null,"after":0}`,
		"project 0":       `{"run":3,"ids":[1,0],"after":0}`,
		"negative":        `{"run":3,"ids":[-1],"after":0}`,
		"ID out of range": `{"run":3,"ids":[9223372036854775808],"after":0}`,
		"fraction":        `{"run":3,"ids":[1.5],"after":0}`,
		"run 0":           `{"run":0,"ids":[1],"after":0}`,
		"after negative":  `{"run":3,"ids":[1],"after":-1}`,
		"too many":        `{"run":3,"ids":` + string(many) + `,"after":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tasks.DecodeScan([]byte(payload))
			if err == nil {
				t.Fatal("DecodeScan() took it")
			}
			if text := err.Error(); strings.Contains(text, "\n") || len(text) > 200 {
				t.Errorf("DecodeScan() = %q, want one short line", text)
			}
		})
	}
}

func TestNewScanRefusesWhatDecodeScanWould(t *testing.T) {
	batch := tasks.Batch{Name: "b", Generation: 1}
	for name, s := range map[string]tasks.Scan{
		"no projects": {Run: 1},
		"too many":    {Run: 1, IDs: ids(tasks.MaxProjects + 1)},
		"no run":      {IDs: ids(1)},
	} {
		if _, err := tasks.NewScan(tasks.QueueScan, batch, s); err == nil {
			t.Errorf("%s: NewScan() took it", name)
		}
	}
	if _, err := tasks.NewScan(tasks.QueueScan, tasks.Batch{Generation: 1}, tasks.Scan{Run: 1, IDs: ids(1)}); err == nil {
		t.Error("no name: NewScan() took it")
	}
	if _, err := tasks.NewScan(tasks.QueueScan, batch, tasks.Scan{Run: 1, IDs: ids(tasks.MaxProjects)}); err != nil {
		t.Errorf("as many as allowed: NewScan() = %v", err)
	}
}

func TestBatch(t *testing.T) {
	for _, b := range []tasks.Batch{
		{Name: "run3.lap1.7", Generation: 0},
		{Name: "run3.adhoc.a-b-c", Generation: 12},
	} {
		got, err := tasks.ParseBatch(b.String())
		if err != nil || got != b {
			t.Errorf("ParseBatch(%q) = %v, %v, want %v", b, got, err, b)
		}
	}
	if got, want := (tasks.Batch{Name: "b", Generation: 1}).Next().String(), "b.2"; got != want {
		t.Errorf("Next() = %s, want %s", got, want)
	}
	for _, id := range []string{"", ".", ".1", "b", "b.", "b.x", "b.+1", "b.01", "b.-1", "b.99999999999999999999"} {
		if b, err := tasks.ParseBatch(id); err == nil {
			t.Errorf("ParseBatch(%q) = %v, want an error", id, b)
		}
	}
}

// What asynq does by itself must not end a task: the options are those that
// were reasoned about.
func TestOptions(t *testing.T) {
	rdb := redistest.New(t)
	queue, inspector := asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb)
	scan, err := tasks.NewScan(tasks.QueueAdhoc, tasks.Batch{Name: "b", Generation: 1}, tasks.Scan{Run: 1, IDs: ids(2)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queue.EnqueueContext(context.Background(), scan); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.EnqueueContext(context.Background(), scan); !errors.Is(err, asynq.ErrTaskIDConflict) {
		t.Errorf("the same batch once more: %v, want ErrTaskIDConflict", err)
	}
	info, err := inspector.GetTaskInfo(tasks.QueueAdhoc, "b.1")
	if err != nil {
		t.Fatal(err)
	}
	if info.MaxRetry < 100 || info.Timeout < 6*time.Hour || info.Retention != time.Hour {
		t.Errorf("scan: max retry %d, timeout %v, retention %v", info.MaxRetry, info.Timeout, info.Retention)
	}
	for range 2 {
		if _, err := queue.EnqueueContext(context.Background(), tasks.NewFlush(3)); err != nil {
			t.Errorf("a flush beside another: %v", err)
		}
	}
	flushes, err := inspector.ListPendingTasks(tasks.QueueFlush)
	if err != nil {
		t.Fatal(err)
	}
	if len(flushes) != 2 || flushes[0].MaxRetry < 1 || flushes[0].MaxRetry > 10 {
		t.Errorf("flushes: %+v", flushes)
	}
}

func TestRetention(t *testing.T) {
	for perMinute, want := range map[float64]time.Duration{
		0:       time.Hour,
		30:      time.Hour,
		200:     10 * time.Minute,
		6_000:   20 * time.Second,
		100_000: 10 * time.Second,
	} {
		if got := tasks.Retention(perMinute).Value(); got != want {
			t.Errorf("Retention(%v) = %v, want %v", perMinute, got, want)
		}
	}
}

func FuzzDecodeScan(f *testing.F) {
	f.Add([]byte(`{"run":3,"ids":[7,9],"after":0}`))
	f.Add([]byte(`{"run":3,"ids":[7],"after":12}`))
	f.Add([]byte(`{"ids":[7],"run":3,"after":12}`))
	f.Add([]byte(` {"run":3,"ids":[7],"after":12}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := tasks.DecodeScan(payload)
		if err != nil {
			return
		}
		task, err := tasks.NewScan(tasks.QueueScan, tasks.Batch{Name: "b"}, s)
		if err != nil {
			t.Fatalf("NewScan refuses what was decoded: %v", err)
		}
		if !slices.Equal(payload, task.Payload()) {
			t.Errorf("decoded %q, encoded %q", payload, task.Payload())
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	f.Add("run3.lap1.7.2")
	f.Fuzz(func(t *testing.T, id string) {
		if b, err := tasks.ParseBatch(id); err == nil && b.String() != id {
			t.Errorf("parsed %q, printed %q", id, b)
		}
	})
}

func TestFormatPayload(t *testing.T) {
	for payload, want := range map[string]string{
		`{"run":3,"ids":[1398,1201,1300],"after":0}`: "scan of 3 projects, IDs 1201 to 1398, run 3",
		`{"run":3,"ids":[12],"after":0}`:             "scan of project 12, run 3",
		`{"run":3,"ids":[12],"after":9}`:             "scan of project 12, run 3, also those already analysed",
		`{"run":3,"ids":[],"after":0}`:               "scan payload: no project IDs",
	} {
		if got := tasks.FormatPayload(tasks.TypeScan, []byte(payload)); got != want {
			t.Errorf("FormatPayload(%s) = %q, want %q", payload, got, want)
		}
	}
	confirm := []byte(`{"run":3,"ids":[12,14],"after":9}`)
	if got, want := tasks.FormatPayload(tasks.TypeConfirm, confirm), "second look at 2 projects, IDs 12 to 14, run 3"; got != want {
		t.Errorf("FormatPayload(confirm) = %q, want %q", got, want)
	}
	if got, want := tasks.FormatPayload(tasks.TypeFlush, tasks.NewFlush(3).Payload()), "flush of the stash, run 3"; got != want {
		t.Errorf("FormatPayload(flush) = %q, want %q", got, want)
	}
	if got, want := tasks.FormatPayload("mail", nil), `unknown task type "mail"`; got != want {
		t.Errorf("FormatPayload(mail) = %q, want %q", got, want)
	}
}

func TestFormatResult(t *testing.T) {
	for _, c := range []struct {
		result any
		want   string
	}{
		{
			tasks.Scanned{Completed: 98, Failed: 2, Missing: 7, Took: 1200 * time.Millisecond},
			"100 projects: 98 completed, 2 failed, 7 repositories missing, in 1.2 s",
		},
		{
			tasks.Scanned{Completed: 1, Missing: 1, Took: 40 * time.Millisecond},
			"1 project: 1 completed, 1 repository missing, in 0.0 s",
		},
		{
			tasks.Scanned{Completed: 1, Done: 3, Gone: 2, Note: "stopped early"},
			"6 projects: 1 completed, 3 analysed before, 2 no longer there, in 0.0 s, stopped early",
		},
		{
			tasks.Scanned{Completed: 1, Looked: 2, Missing: 1},
			"3 projects: 1 completed, 2 to be looked at again, 1 repository missing, in 0.0 s",
		},
		{tasks.Scanned{Note: "of run 3, discarded"}, "of run 3, discarded"},
		{tasks.Flushed{Written: 1, Took: time.Second}, "1 result written, in 1.0 s"},
		{tasks.Flushed{Written: 1000, Discarded: 3, Took: time.Second}, "1000 results written, 3 discarded, in 1.0 s"},
	} {
		text, err := json.Marshal(c.result)
		if err != nil {
			t.Fatal(err)
		}
		taskType := tasks.TypeScan
		if _, flush := c.result.(tasks.Flushed); flush {
			taskType = tasks.TypeFlush
		}
		if got := tasks.FormatResult(taskType, text); got != c.want {
			t.Errorf("FormatResult(%s) = %q, want %q", text, got, c.want)
		}
	}
	if got := tasks.FormatResult(tasks.TypeScan, nil); got != "" {
		t.Errorf("FormatResult of a task without a result = %q", got)
	}
	if got := tasks.FormatResult(tasks.TypeScan, []byte("{")); !strings.HasPrefix(got, "unreadable result") {
		t.Errorf("FormatResult of half a result = %q", got)
	}
	if got := tasks.FormatResult("mail", []byte("{}")); got != `unknown task type "mail"` {
		t.Errorf("FormatResult of another type = %q", got)
	}
}
