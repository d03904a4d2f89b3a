package dashboard_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"regmend/dashboard"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

func TestChangesAreForTheSameOriginWhenAllowed(t *testing.T) {
	const evil = "https://evil.example"
	for name, c := range map[string]struct {
		writes bool
		from   func(*http.Request)
		status int
		paused bool
	}{
		"read-only, same origin":                 {false, with("Sec-Fetch-Site", "same-origin"), http.StatusMethodNotAllowed, false},
		"read-only, another origin":              {false, with("Sec-Fetch-Site", "cross-site"), http.StatusMethodNotAllowed, false},
		"writes, same origin":                    {true, with("Sec-Fetch-Site", "same-origin"), http.StatusNoContent, true},
		"writes, another site":                   {true, with("Sec-Fetch-Site", "cross-site"), http.StatusForbidden, false},
		"writes, another host of the same site":  {true, with("Sec-Fetch-Site", "same-site"), http.StatusForbidden, false},
		"writes, another origin, an old browser": {true, with("Origin", evil), http.StatusForbidden, false},
		"writes, an opaque origin":               {true, with("Origin", "null"), http.StatusForbidden, false},
		"writes, no browser":                     {true, func(*http.Request) {}, http.StatusNoContent, true},
		"writes, a name rebound to this machine": {true, host("evil.example"), http.StatusMisdirectedRequest, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, dashboard.Config{AllowWrites: c.writes})
			enqueue(t, s.rdb, scan(t))
			got := ask(t, http.MethodPost, s.url+"/queues/api/queues/scan:pause", c.from)
			if got.status != c.status {
				t.Errorf("status = %d %s, want %d", got.status, got.body, c.status)
			}
			info, err := asynq.NewInspectorFromRedisClient(s.rdb).GetQueueInfo(tasks.QueueScan)
			if err != nil {
				t.Fatal(err)
			}
			if info.Paused != c.paused {
				t.Errorf("queue paused = %v, want %v", info.Paused, c.paused)
			}
		})
	}
}

func TestNothingButReadingIsAllowedReadOnly(t *testing.T) {
	s := serve(t, dashboard.Config{})
	enqueue(t, s.rdb, scan(t))
	for _, path := range []string{"/", "/metrics", "/healthz", "/queues/", "/queues/api/queues/scan", "/queues/api/queues/scan/pending_tasks:delete_all"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "PROPFIND"} {
			if got := ask(t, method, s.url+path); got.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: status = %d, want 405", method, path, got.status)
			}
		}
	}
	info, err := asynq.NewInspectorFromRedisClient(s.rdb).GetQueueInfo(tasks.QueueScan)
	if err != nil || info.Pending != 1 {
		t.Errorf("pending = %v, %v, want the one task", info, err)
	}
}

func TestQueuePagesSayPayloadsAndResultsInPlainWords(t *testing.T) {
	s := serve(t, dashboard.Config{})
	for _, c := range []struct {
		task   *asynq.Task
		queue  string
		result any
	}{
		{scan(t), tasks.QueueScan, tasks.Scanned{Completed: 3, Missing: 7, Took: time.Second}},
		{tasks.NewFlush(1), tasks.QueueFlush, tasks.Flushed{Written: 3, Took: time.Second}},
		{sweep(t), tasks.QueueSweep, tasks.Swept{Pages: 3, Proven: 7, Took: time.Second}},
	} {
		t.Run(c.task.Type(), func(t *testing.T) {
			info := enqueue(t, s.rdb, c.task)
			pages := s.url + "/queues/api/queues/" + c.queue
			mustContain(t, get(t, pages+"/pending_tasks").body, `"payload":"`+tasks.FormatPayload(c.task.Type(), c.task.Payload())+`"`)

			result, err := json.Marshal(c.result)
			if err != nil {
				t.Fatal(err)
			}
			finish(t, s.rdb, c.queue, result)
			words := `"result":"` + tasks.FormatResult(c.task.Type(), result) + `"`
			mustContain(t, get(t, pages+"/completed_tasks").body, words)
			mustContain(t, get(t, pages+"/tasks/"+info.ID).body, words)
		})
	}
}

func sweep(t *testing.T) *asynq.Task {
	t.Helper()
	task, err := tasks.NewSweep(tasks.Batch{Name: "run1.sweep2"}, tasks.Sweep{Run: 1, Sweep: 2})
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// finish works on the one task in the queue, leaving the result.
func finish(t *testing.T, rdb redis.UniversalClient, queue string, result []byte) {
	t.Helper()
	done := make(chan error, 1)
	log, _ := quiet()
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{Queues: map[string]int{queue: 1}, Logger: log})
	if err := server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		_, err := task.ResultWriter().Write(result)
		done <- err
		return err
	})); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	server.Shutdown() // waits for the task to be marked as completed
}

// The policy names asynqmon's inline scripts by their digests: a page with
// others would stay blank.
func TestQueuePagesRunUnderTheirPolicy(t *testing.T) {
	s := serve(t, dashboard.Config{})
	page := get(t, s.url+"/queues/queues/scan")
	policy := page.header.Get("Content-Security-Policy")
	scripts := regexp.MustCompile(`(?s)<script>(.+?)</script>`).FindAllStringSubmatch(page.body, -1)
	if len(scripts) == 0 {
		t.Fatalf("no inline scripts in %s", page.body)
	}
	for _, script := range scripts {
		digest := sha256.Sum256([]byte(script[1]))
		mustContain(t, policy, "'sha256-"+base64.StdEncoding.EncodeToString(digest[:])+"'")
	}
	sources, _, _ := strings.Cut(policy[strings.Index(policy, "script-src"):], ";")
	mustNotContain(t, sources, "unsafe", "*", "http", "data:")

	for _, script := range regexp.MustCompile(`<script src="([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		got := get(t, s.url+script[1])
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "application/javascript") {
			t.Errorf("%s = %d %s", script[1], got.status, got.header.Get("Content-Type"))
		}
	}
}

func TestQueuesWithoutSlashLeadsThere(t *testing.T) {
	s := serve(t, dashboard.Config{})
	mustContain(t, get(t, s.url+"/queues").body, `<div id="root">`)
}

func scan(t *testing.T) *asynq.Task {
	t.Helper()
	task, err := tasks.NewScan(tasks.QueueScan, tasks.Batch{Name: "run1-lap1-17", Generation: 1}, tasks.Scan{Run: 1, IDs: []int64{17, 18, 42}})
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func enqueue(t *testing.T, rdb redis.UniversalClient, task *asynq.Task) *asynq.TaskInfo {
	t.Helper()
	info, err := asynq.NewClientFromRedisClient(rdb).EnqueueContext(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
