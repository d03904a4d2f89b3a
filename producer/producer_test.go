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
	"regmend/shared/servers/redistest"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
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
}

func newOffice(t *testing.T) *office {
	t.Helper()
	t.Parallel()
	rdb := redistest.New(t)
	o := &office{Database: postgrestest.New(t), t: t, redis: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb)}
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
	ctx, cancel := context.WithCancel(context.Background())
	log := logrus.New()
	log.SetOutput(o.t.Output())
	watch := postgres.NewWatch(o.DB, log)
	registry := func(context.Context) (string, error) { return identity, nil }
	p := producer.New(o.DB, watch, o.redis, registry, log, producer.Config{Process: name, Interval: time.Second})
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
		loaded, err := o.DB.Load(o.t.Context(), state.Run, batch.IDs, 0)
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

func TestLap_FindsNewProjectsAndDueFailures(t *testing.T) {
	o := newOffice(t)
	o.set("lap_interval", "1s")
	o.projects("group", 10)
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 && o.ended() })
	bad := o.all()[3]
	o.scan(bad)
	o.projects("later", 2)
	o.await("the new ones are queued", func() bool { return cmp.Equal(o.ids(), o.all()[10:]) })
	o.scan()
	o.during(3*time.Second, "a failure is left alone until it is due", func() bool { return len(o.ids()) == 0 })
	o.Exec(t, `UPDATE regmend.data_repair_details SET next_attempt_at = now() WHERE project_id = $1`, bad)
	o.await("the due failure is queued", func() bool { return cmp.Equal(o.ids(), []int64{bad}) })
}

func TestLap_BeginsNotBeforeItsTimeNorBeforeAllIsWritten(t *testing.T) {
	o := newOffice(t)
	o.set("lap_interval", "4s")
	o.projects("group", 10)
	began := time.Now()
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 && o.ended() })
	o.scan()
	o.projects("later", 1)
	waits := stash.New(o.redis, stash.Config{})
	left := gitlab.Result{Run: 1, Scan: 1, Project: gitlab.Project{ID: 1}, Status: gitlab.Failed, Error: "no"}
	if _, err := waits.Put(t.Context(), []gitlab.Result{left}); err != nil {
		t.Fatal(err)
	}
	o.during(6*time.Second, "no lap begins while the stash holds something", func() bool { return len(o.ids()) == 0 })
	if err := waits.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.await("a lap begins", func() bool { return len(o.ids()) == 1 })
	first := time.Now()
	o.scan()
	o.projects("last", 1)
	o.await("another lap begins", func() bool { return len(o.ids()) == 1 })
	if apart := time.Since(first); apart < 2*time.Second || first.Sub(began) < 4*time.Second {
		t.Errorf("laps are %s apart, want 4 s", apart)
	}
}

func TestScope_IsKeptTo(t *testing.T) {
	o := newOffice(t)
	o.projects("Group/Sub", 5)
	o.projects("group/sub-2", 5)
	o.projects("group", 5)
	o.set("scope", "group/sub,group/app3")
	o.producer("p")
	all := o.all()
	want := append(slices.Clone(all[:5]), all[12])
	o.await("the scope is queued", o.ended)
	if diff := cmp.Diff(want, o.ids()); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
	o.set("scope", "")
	o.await("all are queued", func() bool { return len(slices.Compact(o.ids())) == 15 })
}

func TestDepth_RedisStaysSmall(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 20_000)
	o.producer("p")
	o.await("something is queued", func() bool { return len(o.queued()) > 0 })
	const least = 4*2 + 8 // at max_concurrency 2, while no pace is known
	o.during(3*time.Second, "few tasks wait", func() bool { return len(o.queued()) <= least })
	ids := o.ids()
	if len(ids) != least*100 || ids[len(ids)-1] != o.all()[len(ids)-1] {
		t.Errorf("%d projects are queued, up to %d", len(ids), ids[len(ids)-1])
	}
	for range 5 {
		o.scan()
		o.await("it is filled up", func() bool { return len(o.queued()) == least })
	}
	if next := o.ids()[0]; next != o.all()[5*least*100] {
		t.Errorf("it goes on with %d", next)
	}
}

func TestDepth_FollowsThePace(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 20_000)
	o.producer("p")
	o.await("something is queued", func() bool { return len(o.queued()) > 0 })
	pace := board.New(o.redis)
	o.await("minutes of work are queued", func() bool {
		if err := pace.CountScanned(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		return len(o.queued()) > 100
	})
}

func TestTwoProducers_EnqueueNothingTwice(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 3000)
	o.set("batch_size", "10")
	o.set("max_concurrency", "100") // so that all of it is wanted
	if _, err := o.DB.NewRun(t.Context(), "test", identity, 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		o.producer(name)
	}
	// Each believes that it leads: nobody's lock lasts.
	o.await("all projects are queued", func() bool {
		if err := o.redis.Del(t.Context(), "regmend:lock:producer").Err(); err != nil {
			t.Fatal(err)
		}
		return o.ended()
	})
	if diff := cmp.Diff(o.all(), o.ids()); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
}

func TestLeader_IsReplaced(t *testing.T) {
	o := newOffice(t)
	lead := board.New(o.redis)
	if ok, err := lead.Lock(t.Context(), "producer", "one that died", 3*time.Second); !ok || err != nil {
		t.Fatal(ok, err)
	}
	o.projects("group", 5)
	stop := o.producer("a")
	o.during(2*time.Second, "the dead one's lease is respected", func() bool { return len(o.ids()) == 0 })
	o.await("the next one leads", func() bool { return len(o.ids()) == 5 })
	stop()
	o.scan()
	o.projects("later", 5)
	o.set("lap_interval", "1s")
	began := time.Now()
	o.producer("b")
	o.await("another leads at once", func() bool { return len(o.ids()) == 5 })
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the lead was given up only after %s", took)
	}
}

func TestOrphans_AreDroppedWithoutTheForeignKey(t *testing.T) {
	o := newOffice(t)
	o.Exec(t, `ALTER TABLE regmend.data_repair_details DROP CONSTRAINT IF EXISTS data_repair_details_project_id_fkey`)
	o.set("lap_interval", "1s")
	o.projects("group", 10)
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 && o.ended() })
	o.scan()
	ids := o.all()
	o.Exec(t, `DELETE FROM public.projects WHERE id IN ($1, $2)`, ids[2], ids[9]) // the last one, too
	const rows = `SELECT count(*) FROM regmend.data_repair_details`
	o.await("their results are dropped", func() bool { return o.Value(t, rows) == "8" })
}

func TestP13_DisabledNothingIsEnqueued(t *testing.T) {
	o := newOffice(t)
	o.set("scan_enabled", "false")
	o.projects("group", 10)
	o.producer("p")
	o.during(3*time.Second, "nothing is queued", func() bool { return len(o.queued()) == 0 })
	o.set("scan_enabled", "true")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 })
}

func TestP1_TheQueueIsRebuilt(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 10)
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 && o.ended() })
	if err := o.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	o.await("all projects are queued again", func() bool { return cmp.Equal(o.ids(), o.all()) })
	info, err := tasks.Info(o.inspector, tasks.QueueScan)
	if err != nil || info.Pending != 1 {
		t.Errorf("the queue's depth is %d (%v), want 1", info.Pending, err)
	}
}
