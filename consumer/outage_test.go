package consumer_test

import (
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers/proxy"
)

// recovery is how long scanning may take to go on after an outage.
const recovery = 30 * time.Second

func TestP10_AFailingRegistryIsNoFailingProject(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]registrytest.Fault{
		"down":           registrytest.Drop(),
		"503":            registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"),
		"429":            registrytest.TooMany("2.000000"),
		"401":            registrytest.Status(http.StatusUnauthorized, "UNAUTHORIZED"),
		"404, no body":   registrytest.Status(http.StatusNotFound, ""),
		"500 everywhere": registrytest.Status(http.StatusInternalServerError, "UNKNOWN"),
		"suddenly empty": registrytest.Answer(http.StatusOK, nil, "[]"),
		"HTML":           registrytest.HTML(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			const projects = 300
			w.projects(projects)
			w.registry.SetLatency(10 * time.Millisecond)
			w.set("flush_after", "1s")
			w.set("batch_size", "10")
			w.begin()
			w.producer()
			w.consumer()
			w.consumer()
			w.midway()
			mend := w.registry.Fail(registrytest.Where{}, fault)
			w.await("the registry is why all hold", w.holds(board.HoldRegistry))
			if reason := w.hold().Reason; reason == "" || strings.ContainsAny(reason, "\n") {
				t.Errorf("the reason is %q, want one line", reason)
			}
			if left := w.counts().Pending; left < 20 {
				t.Fatalf("only %d projects were pending when the registry failed", left)
			}
			w.during(2*time.Second, "it holds", w.holds(board.HoldRegistry))
			w.nothingFailed()
			mend()
			w.within(recovery, "all projects are completed", w.completed(projects))
			w.checkApps(projects)
			w.nothingFailed()
		})
	}
}

// GitLab's registry without its metadata database looks like another one.
func TestP10_AConsumerThatStartsInAnOutageGoesOnAfterIt(t *testing.T) {
	w := newWorld(t)
	w.projects(50)
	w.begin()
	off := registrytest.Status(http.StatusNotFound, "")
	probes := w.registry.Fail(registrytest.Where{Kind: registrytest.Probe}, off)
	lists := w.registry.Fail(registrytest.Where{Kind: registrytest.List}, off)
	w.consumer()
	w.producer()
	w.await("the run is why all hold", w.holds(board.HoldRun))
	probes()
	lists()
	w.within(recovery, "all projects are completed", w.completed(50))
}

// An outage that is over, whoever saw that, does not make the next one longer.
func TestP10_ShortOutagesAreShortHolds(t *testing.T) {
	w := newWorld(t)
	w.projects(50)
	w.set("batch_size", "5")
	w.begin()
	for i := range 8 {
		where := registrytest.Where{Kind: registrytest.List, Repository: app(1 + 6*i), Times: 1}
		w.registry.Fail(where, registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
	}
	w.producer()
	for range 3 {
		w.consumer()
	}
	w.within(25*time.Second, "all projects are completed", w.completed(50))
}

func TestP10_RetryAfterIsRespectedByAll(t *testing.T) {
	w := newWorld(t)
	w.projects(50)
	w.begin()
	w.registry.Fail(registrytest.Where{Kind: registrytest.List, Times: 1}, registrytest.TooMany("4.000000"))
	w.producer()
	for range 3 {
		w.consumer()
	}
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	until := w.hold().Until
	if left := time.Until(until); left < 3*time.Second {
		t.Fatalf("the hold lasts until %s, %s from now", until, left)
	}
	w.await("all projects are completed", w.completed(50))
	early := 0
	// The others learn of it at their next look.
	for _, r := range w.registry.Requests(registrytest.List) {
		if r.Start.After(until.Add(-3*time.Second)) && r.Start.Before(until.Add(-10*time.Millisecond)) {
			early++
		}
	}
	if early > 0 {
		t.Errorf("%d listings were asked for before the end of Retry-After", early)
	}
}

func TestP10_AWrongRegistryIsNotScanned(t *testing.T) {
	w := newWorld(t)
	const projects = 300 // 30 rows
	w.projects(projects)
	for i := 10; i <= projects; i += 10 {
		w.registry.Delete(app(i) + "/web")
	}
	w.begin()
	w.registry.Forget()
	w.producer()
	w.consumer()
	w.consumer()
	w.await("the witness is why all hold", w.holds(board.HoldWitness))
	w.during(3*time.Second, "nothing is scanned", func() bool { return w.counts().Pending == projects && w.stashed() == 0 })
	if reason := w.hold().Reason; !strings.Contains(reason, "0 of 30") {
		t.Errorf("the reason is %q", reason)
	}
	if n := w.registry.Count(); n > 200 {
		t.Errorf("%d requests within a few seconds of holding", n)
	}
	for i := 10; i <= projects; i += 10 {
		w.lost(app(i), "web")
	}
	w.within(recovery, "all projects are completed", w.completed(projects))
	w.checkApps(projects)
}

func TestP10_FewerThanTwentyRowsAreNoWitness(t *testing.T) {
	w := newWorld(t)
	const projects = 50
	w.projects(projects)
	for i := 10; i <= projects; i += 10 {
		w.registry.Delete(app(i) + "/web") // a row without a repository is normal
	}
	w.begin()
	w.producer()
	w.consumer()
	w.await("all projects are completed", w.completed(projects))
	w.checkApps(projects)
}

func TestP10_WithNothingToCompareAnErrorForAllIsTheRegistrys(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.Project(t, app(i))
	}
	mend := w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	w.begin()
	w.producer()
	w.consumer()
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	mend()
	w.within(recovery, "all projects are completed", w.completed(5))
	w.nothingFailed()
}

func TestP10_AConsumerThatStartsDuringAHoldDoesNotEndIt(t *testing.T) {
	w := newWorld(t)
	w.projects(50)
	w.begin()
	mend := w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))
	w.producer()
	w.consumer()
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	w.consumer()
	w.during(3*time.Second, "it holds", w.holds(board.HoldRegistry))
	mend()
	w.within(recovery, "all projects are completed", w.completed(50))
	w.nothingFailed()
}

// door stands before Postgres from now on.
func (w *world) door() *proxy.Proxy {
	w.t.Helper()
	u, err := url.Parse(w.reach.Database)
	if err != nil {
		w.t.Fatal(err)
	}
	door, err := proxy.Start(u.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = door.Close() })
	u.Host = door.Addr()
	w.reach.Database = u.String()
	return door
}

func TestP10_PostgresAway(t *testing.T) {
	w := newWorld(t)
	door := w.door()
	const projects = 300
	w.projects(projects)
	w.registry.SetLatency(10 * time.Millisecond)
	w.set("flush_after", "1s")
	w.set("batch_size", "10")
	w.begin()
	w.producer()
	w.consumer()
	w.consumer()
	w.midway()
	door.Refuse()
	w.await("Postgres is why all hold", w.holds(board.HoldPostgres))
	w.during(3*time.Second, "it holds", w.holds(board.HoldPostgres))
	before := len(w.registry.Requests(registrytest.List))
	w.during(time.Second, "nothing is listed", func() bool { return len(w.registry.Requests(registrytest.List)) == before })
	door.Pass()
	w.within(recovery, "all projects are completed", w.completed(projects))
	w.checkApps(projects)
	w.nothingFailed()
}

func TestP10_RedisGone(t *testing.T) {
	w := newWorld(t)
	const projects = 300
	w.projects(projects)
	w.registry.SetLatency(10 * time.Millisecond)
	w.set("flush_after", "1s")
	w.set("batch_size", "10")
	w.begin()
	w.producer()
	w.consumer()
	w.midway()
	if err := w.redisServer.Kill(); err != nil {
		t.Fatal(err)
	}
	w.await("nothing is in flight", func() bool { return w.registry.InFlight() == 0 })
	if err := w.redisServer.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.within(recovery, "all projects are completed", w.completed(projects))
	w.checkApps(projects)
	w.nothingFailed()
}

func TestP8_ResultsOutliveARedisThatHangs(t *testing.T) {
	w := newWorld(t)
	const projects = 20
	for i := range projects {
		path := app(i)
		w.pushed(w.Project(t, path), path, "")
	}
	release := make(chan struct{})
	last := app(projects - 1)
	w.set("flush_after", "1s")
	w.set("max_concurrency", "1")
	w.begin()
	consumer := w.consumer()
	w.await("the witness was heard", func() bool { return w.redis.Exists(t.Context(), "regmend:witness").Val() == 1 })
	w.registry.Forget()
	w.registry.Fail(registrytest.Where{Repository: last}, registrytest.Hold(release))
	w.producer()
	w.await("all but the last are listed", func() bool { return w.listings(last) == 1 })
	w.pauseRedis(func() {
		close(release)
		w.await("the slot is given up or the listing is done", func() bool { return w.registry.InFlight() == 0 })
		time.Sleep(2 * time.Second) // the outage outlasts a put of the results (putTimeout)
	})
	w.within(recovery, "all projects are completed", w.completed(projects))
	for i := range projects - 1 {
		if n := w.listings(app(i)); n != 1 {
			t.Errorf("%s was listed %d times", app(i), n)
		}
	}
	if err := consumer.end(); err != nil {
		t.Error(err)
	}
}

// pauseRedis makes Redis hang while f runs.
func (w *world) pauseRedis(f func()) {
	w.t.Helper()
	if err := w.redisServer.Signal(syscall.SIGSTOP); err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = w.redisServer.Signal(syscall.SIGCONT) }()
	f()
}
