package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"regmend/consumer"
	"regmend/producer"
	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/jwtauth"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
	"regmend/shared/servers/redistest"
	"regmend/shared/slots"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// world is an installation with all its servers: a database, a Redis, a
// registry double, and what regmend runs on them.
type world struct {
	*postgrestest.Database
	t           *testing.T
	redisServer *servers.Redis
	redis       *redis.Client // for looking
	hook        redis.Hook    // nil, or what sees the processes' commands
	registry    *registrytest.Registry
	log         logrus.FieldLogger
	reach       reach
	timing      timing
	deadly      string          // the registry path whose listing panics
	workers     int             // of a consumer; 0: the default
	token       *jwtauth.Client // of a consumer; nil: it has no credentials for GitLab
	started     int
}

// reach is where a process finds the servers.
type reach struct{ Database, Redis, Registry string }

// timing is that of processes; they all need the same.
type timing struct {
	Slots  slots.Config
	Claims claims.Config
}

// quick is fast enough for tests and slow enough for a busy machine.
func quick() timing {
	return timing{
		Slots:  slots.Config{Lease: 2 * time.Second, Timeout: 500 * time.Millisecond},
		Claims: claims.Config{Lease: 3 * time.Second, Look: 500 * time.Millisecond},
	}
}

func newWorld(t *testing.T) *world { return newWorldOf(t, registrytest.Options{}) }

func newWorldOf(t *testing.T, options registrytest.Options) *world {
	t.Helper()
	t.Parallel()
	return newWorldAlone(t, options)
}

// newWorldAlone is for tests that judge how long something takes: no other test of
// this package runs meanwhile.
func newWorldAlone(t *testing.T, options registrytest.Options) *world {
	t.Helper()
	reg := registrytest.NewServer(t, options)
	server := redistest.Start(t)
	w := &world{
		Database:    postgrestest.New(t),
		t:           t,
		redisServer: server,
		redis:       redistest.Client(t, server),
		registry:    reg.Registry,
		log:         testLog(t),
		timing:      quick(),
	}
	w.reach = reach{Database: w.URL, Redis: server.URL, Registry: reg.URL}
	w.set("brake", "off") // a busy machine makes every registry slow
	w.set("confirm_after", "0s")
	w.set("min_age", "0s")
	return w
}

// testLog writes to the test's log, shown when it fails.
func testLog(t *testing.T) logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(t.Output())
	return log
}

// pushed makes a repository that the registry holds and GitLab knows.
func (w *world) pushed(project int64, fullPath, name string) {
	w.lost(fullPath, name)
	w.Repository(w.t, project, name)
}

// lost makes a repository that only the registry holds.
func (w *world) lost(fullPath, name string) {
	w.registry.Push(join(fullPath, name), "latest")
}

func join(fullPath, name string) string {
	if name == "" {
		return fullPath
	}
	return fullPath + "/" + name
}

// projects makes so many projects group/app1x, group/app2x …, of which every
// tenth has a known repository "web" and a lost one, and returns the lowest ID.
func (w *world) projects(n int) (first int64) {
	w.t.Helper()
	w.Exec(w.t, `
WITH made AS (
    INSERT INTO public.projects (name, path, namespace_id)
    SELECT i, 'app' || i || 'x', 1 FROM generate_series(1, $1::int) AS i ORDER BY i
    RETURNING id, path
)
INSERT INTO public.routes (source_id, source_type, path, name) SELECT id, 'Project', 'group/' || path, path FROM made`, n)
	w.Exec(w.t, `
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
SELECT id, 'web', now(), now() FROM public.projects WHERE name::int % 10 = 0`)
	w.registry.Push("group", "so-that-the-namespace-is-known")
	for i := 10; i <= n; i += 10 {
		w.lost(app(i), "web")
		w.lost(app(i), "lost")
	}
	if err := w.SQL.GetContext(w.t.Context(), &first, `SELECT min(id) FROM public.projects`); err != nil {
		w.t.Fatal(err)
	}
	return first
}

// app is a path that registries list rightly in every collation, so that it is
// asked for by itself.
func app(i int) string { return fmt.Sprintf("group/app%dx", i) }

// set changes a setting.
func (w *world) set(key, value string) {
	w.t.Helper()
	if _, err := w.DB.Set(w.t.Context(), key, value, "test"); err != nil {
		w.t.Fatal(err)
	}
}

// begin begins a run and enables scanning.
func (w *world) begin() postgres.Run {
	w.t.Helper()
	found, err := w.client(w.reach.Registry).Probe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	mark, err := board.New(w.redis).RunMark(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	run, err := w.DB.NewRun(w.t.Context(), "test", found.Identity, mark.Scan)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := board.New(w.redis).Begin(w.t.Context(), board.RunMark{Run: run.ID, Scan: run.Scan}); err != nil {
		w.t.Fatal(err)
	}
	w.set("scan_enabled", "true")
	return run
}

// running is a process of regmend's, here a goroutine.
type running struct {
	stop  context.CancelFunc
	ended chan struct{}
	err   error // once ended
}

// end stops it and returns how it ended.
func (r *running) end() error {
	r.stop()
	<-r.ended
	return r.err
}

// part is a consumer or a producer.
type part func(context.Context, *postgres.DB, *postgres.Watch, redis.UniversalClient, string) error

func (w *world) run(work part) *running {
	w.t.Helper()
	w.started++
	name := fmt.Sprintf("process-%d", w.started)
	db := postgrestest.Open(w.t, w.reach.Database)
	rdb, err := newRedis(w.reach.Redis)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.hook != nil {
		rdb.AddHook(w.hook)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = watched(ctx, db, w.log, func(ctx context.Context, watch *postgres.Watch) error {
			return work(ctx, db, watch, rdb, name)
		})
		_ = rdb.Close()
	}()
	w.t.Cleanup(func() { _ = r.end() })
	return r
}

// watched runs work with a watch beside it.
func watched(ctx context.Context, db *postgres.DB, log logrus.FieldLogger, work func(context.Context, *postgres.Watch) error) error {
	watch := postgres.NewWatch(db, log)
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- watch.Run(watching) }()
	err := work(ctx, watch)
	stop()
	return errors.Join(err, <-ended)
}

func (w *world) consumer() *running {
	w.t.Helper()
	cfg := consumer.Config{Workers: w.workers, Slots: w.timing.Slots, Claims: w.timing.Claims}
	if w.token != nil {
		cfg.GitLab = w.token
	}
	client := w.client(w.reach.Registry, wired(&cfg))
	return w.run(func(ctx context.Context, db *postgres.DB, watch *postgres.Watch, rdb redis.UniversalClient, name string) error {
		cfg.Process = name
		return consumer.New(db, watch, rdb, client, w.log, cfg).Run(ctx)
	})
}

func (w *world) producer() {
	w.t.Helper()
	client := w.client(w.reach.Registry)
	identity := func(ctx context.Context) (string, error) {
		found, err := client.Probe(ctx)
		return found.Identity, err
	}
	w.run(func(ctx context.Context, db *postgres.DB, watch *postgres.Watch, rdb redis.UniversalClient, name string) error {
		cfg := producer.Config{Process: name, Interval: time.Second, Claims: w.timing.Claims}
		return producer.New(db, watch, rdb, identity, w.log, cfg).Run(ctx)
	})
}

// enqueue enqueues a batch as an operator does, and returns its task's ID.
func (w *world) enqueue(name string, scan tasks.Scan) string {
	w.t.Helper()
	batch := tasks.Batch{Name: name}
	if err := tasks.Enqueue(w.t.Context(), tasks.NewClient(w.redis), tasks.QueueAdhoc, batch, scan); err != nil {
		w.t.Fatal(err)
	}
	return batch.String()
}

// result awaits the end of an enqueued batch and returns what became of it.
func (w *world) result(id string) (scanned tasks.Scanned) {
	w.t.Helper()
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	w.await("task "+id+" is done", func() bool {
		task, err := inspector.GetTaskInfo(tasks.QueueAdhoc, id)
		return err == nil && task.State == asynq.TaskStateCompleted && json.Unmarshal(task.Result, &scanned) == nil
	})
	return scanned
}
