package consumer_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"regmend/consumer"
	"regmend/producer"
	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// world is an installation with all its servers: a database, a Redis, a
// registry double, and what regmend runs on them.
type world struct {
	*postgrestest.Database
	t        *testing.T
	redis    *redis.Client
	registry *registrytest.Registry
	url      string // of the registry
	log      logrus.FieldLogger
	started  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	reg := registrytest.NewServer(t, registrytest.Options{})
	return &world{
		Database: postgrestest.New(t),
		t:        t,
		redis:    redistest.New(t),
		registry: reg.Registry,
		url:      reg.URL,
		log:      testLog(t),
	}
}

// testLog writes to the test's log, shown when it fails.
func testLog(t *testing.T) logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(testWriter{t})
	return log
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	fmt.Fprint(w.t.Output(), string(line))
	return len(line), nil
}

var _ io.Writer = testWriter{}

// pushed makes a repository that the registry holds and GitLab knows.
func (w *world) pushed(project int64, fullPath, name string) {
	w.lost(fullPath, name)
	w.Repository(w.t, project, name)
}

// lost makes a repository that only the registry holds.
func (w *world) lost(fullPath, name string) {
	path := fullPath
	if name != "" {
		path += "/" + name
	}
	w.registry.Push(path, "latest")
}

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
	found, err := w.client().Probe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	run, err := w.DB.NewRun(w.t.Context(), "test", found.Identity, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := board.New(w.redis).Begin(w.t.Context(), board.RunMark{Run: run.ID, Scan: run.Scan}); err != nil {
		w.t.Fatal(err)
	}
	w.set("scan_enabled", "true")
	return run
}

func (w *world) client() *registry.Client {
	w.t.Helper()
	c, err := registry.New(registry.Config{URL: w.url, Log: w.log})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
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

func (w *world) run(part func(context.Context, *postgres.Watch, string) error) *running {
	w.started++
	name := fmt.Sprintf("process-%d", w.started)
	ctx, stop := context.WithCancel(context.Background())
	watch := postgres.NewWatch(w.DB, w.log)
	watched := make(chan struct{})
	watchCtx, stopWatch := context.WithCancel(context.Background())
	go func() { defer close(watched); _ = watch.Run(watchCtx) }()
	r := &running{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = part(ctx, watch, name)
		stopWatch()
		<-watched
	}()
	w.t.Cleanup(func() {
		if err := r.end(); err != nil {
			w.t.Errorf("%s ended with %v", name, err)
		}
	})
	return r
}

func (w *world) consumer() *running {
	return w.run(func(ctx context.Context, watch *postgres.Watch, name string) error {
		return consumer.New(w.DB, watch, w.redis, w.client(), w.log, consumer.Config{Process: name}).Run(ctx)
	})
}

func (w *world) producer() *running {
	identity := func(ctx context.Context) (string, error) {
		found, err := w.client().Probe(ctx)
		return found.Identity, err
	}
	return w.run(func(ctx context.Context, watch *postgres.Watch, name string) error {
		return producer.New(w.DB, watch, w.redis, identity, w.log, producer.Config{Process: name, Interval: 2 * time.Second}).Run(ctx)
	})
}

// await waits until the condition holds.
func (w *world) await(what string, within time.Duration, condition func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after %s still not: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// counts counts the projects by state.
func (w *world) counts() postgres.Counts {
	w.t.Helper()
	state, err := w.DB.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	counts, err := w.DB.Counts(w.t.Context(), state.Run)
	if err != nil {
		w.t.Fatal(err)
	}
	return counts
}
