package producer_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"regmend/producer"
	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers/proxy"
	"regmend/shared/servers/redistest"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

const identity = "https://registry.example.com (gitlab)"

// office is what producers need: a database and a Redis.
type office struct {
	*postgrestest.Database
	t         *testing.T
	redis     *redis.Client
	inspector *asynq.Inspector
	interval  time.Duration // of producers
}

func newOffice(t *testing.T) *office {
	t.Helper()
	t.Parallel()
	rdb := redistest.New(t)
	o := &office{
		Database: postgrestest.New(t), t: t, redis: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb), interval: time.Second,
	}
	o.set("scan_enabled", "true")
	return o
}

func (o *office) set(key, value string) {
	o.t.Helper()
	if _, err := o.DB.Set(o.t.Context(), key, value, "test"); err != nil {
		o.t.Fatal(err)
	}
}

// projects makes so many projects of the group.
func (o *office) projects(group string, n int) {
	o.t.Helper()
	o.Exec(o.t, `
WITH made AS (
    INSERT INTO public.projects (name, path, namespace_id)
    SELECT i, 'app' || i, 1 FROM generate_series(1, $1::int) AS i ORDER BY i
    RETURNING id, path
)
INSERT INTO public.routes (source_id, source_type, path, name) SELECT id, 'Project', $2 || '/' || path, path FROM made`, n, group)
}

// producer starts one and returns how to stop it.
func (o *office) producer(name string) (stop func()) {
	o.t.Helper()
	return o.producerOn(o.redis, name)
}

// producerOn starts one that has a client of its own.
func (o *office) producerOn(rdb *redis.Client, name string) (stop func()) {
	o.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := logrus.New()
	log.SetOutput(o.t.Output())
	watch := postgres.NewWatch(o.DB, log)
	registry := func(context.Context) (string, error) { return identity, nil }
	p := producer.New(o.DB, watch, rdb, registry, log, producer.Config{Process: name, Interval: o.interval})
	ended := make(chan error, 2)
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- watch.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				o.t.Errorf("%s ended with %v", name, err)
			}
		}
	}
	o.t.Cleanup(stop)
	return stop
}

// behind is a client of Redis through a door.
func (o *office) behind(door *proxy.Proxy) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: door.Addr(), ContextTimeoutEnabled: true})
	o.t.Cleanup(func() { _ = client.Close() })
	return client
}

// await waits until the condition holds.
func (o *office) await(what string, condition func() bool) {
	o.t.Helper()
	const limit = 30 * time.Second
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.t.Fatalf("after %s still not: %s", limit, what)
		}
	}
}

// during checks for a while that the condition holds all the time.
func (o *office) during(while time.Duration, what string, condition func() bool) {
	o.t.Helper()
	for end := time.Now().Add(while); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !condition() {
			o.t.Fatalf("not all the time: %s", what)
		}
	}
}

// queued is what waits to be scanned.
func (o *office) queued() (batches []tasks.Scan) {
	o.t.Helper()
	infos, err := o.inspector.ListPendingTasks(tasks.QueueScan, asynq.PageSize(10_000))
	if err != nil {
		return nil // nothing was ever enqueued
	}
	for _, info := range infos {
		scan, err := tasks.DecodeScan(info.Payload)
		if err != nil {
			o.t.Fatal(err)
		}
		batches = append(batches, scan)
	}
	return batches
}

// ids are the projects that wait, in order.
func (o *office) ids() (ids []int64) {
	o.t.Helper()
	for _, batch := range o.queued() {
		ids = append(ids, batch.IDs...)
	}
	slices.Sort(ids)
	return ids
}

func (o *office) all() (ids []int64) {
	o.t.Helper()
	if err := o.SQL.SelectContext(o.t.Context(), &ids, `SELECT id FROM public.projects ORDER BY id`); err != nil {
		o.t.Fatal(err)
	}
	return ids
}

// scan does what consumers do: every batch that waits is taken, and its
// projects completed but for those that fail.
func (o *office) scan(failing ...int64) {
	o.t.Helper()
	state, err := o.DB.State(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, batch := range o.queued() {
		loaded, err := o.DB.Load(o.t.Context(), state.Run, 0, batch.IDs, 0)
		if err != nil {
			o.t.Fatal(err)
		}
		var results []gitlab.Result
		for _, p := range loaded.Projects {
			r := gitlab.Result{
				Run: state.Run.ID, Scan: loaded.Scan, Project: p, Status: gitlab.Completed,
				Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1},
			}
			if slices.Contains(failing, p.ID) {
				r.Status, r.Evidence, r.Error = gitlab.Failed, gitlab.Evidence{}, "no"
			}
			results = append(results, r)
		}
		if _, err := o.DB.Write(o.t.Context(), state.Run, results); err != nil {
			o.t.Fatal(err)
		}
	}
	if _, err := o.inspector.DeleteAllPendingTasks(tasks.QueueScan); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) ended() bool {
	o.t.Helper()
	at, ok, err := board.New(o.redis).Walk(o.t.Context())
	return err == nil && ok && at.Ended
}
