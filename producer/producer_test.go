package producer_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/servers/proxy"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/google/go-cmp/cmp"
)

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

// That is how an installation mostly is: all is queued or done, and the next lap is
// minutes away.
func TestBetweenLapsTheQueuesAreLeftAlone(t *testing.T) {
	o := newOffice(t)
	o.interval = time.Hour
	o.projects("group", 10)
	o.producer("p")
	o.await("all projects are queued", func() bool { return len(o.ids()) == 10 && o.ended() })
	o.scan()
	looks := func() string {
		info, err := o.redis.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`cmdstat_smembers:calls=\d+`).FindString(info) // each looks for the queues there are
	}
	before := looks()
	<-time.After(3 * time.Second)
	if after := looks(); after != before {
		t.Errorf("looks at the queues: %s, then %s", before, after)
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

func TestAProducerThatDiedBeforeAdvancingTheWalk_EnqueuedNothingTwice(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 300)
	o.producer("p")
	o.await("all projects are queued", o.ended)
	walk := board.New(o.redis)
	at, _, err := walk.Walk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := at
	before.Cursor, before.Ended = 0, false
	if moved, err := walk.AdvanceWalk(t.Context(), at, before); !moved || err != nil {
		t.Fatal(moved, err)
	}
	o.await("the step is done again", o.ended)
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

// asynq would wait for twelve seconds.
func TestP14_AProducerEndsWhileTheQueueIsNotToBeHad(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 10)
	door, err := proxy.Start(o.redis.Options().Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = door.Close() })
	stop := o.producerOn(o.behind(door), "p")
	o.await("all projects are queued", o.ended)
	door.SwallowReply("smembers", 100)
	o.await("an answer about the queues is missing", func() bool { return door.Lost() > 0 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %s", took)
	}
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

// A task whose hash was evicted counts as running, and a lap does not begin
// before everything has ended.
func TestP1_ALostTaskDoesNotEndTheLaps(t *testing.T) {
	o := newOffice(t)
	o.projects("group", 10)
	o.set("lap_interval", "1s")
	o.producer("p")
	o.await("all projects are queued", o.ended)
	o.scan()
	if err := o.redis.LPush(t.Context(), "asynq:{scan}:active", "lost.0").Err(); err != nil {
		t.Fatal(err)
	}
	o.projects("late", 5)
	o.await("the next lap finds the new projects", func() bool { return len(o.ids()) == 5 })
}
