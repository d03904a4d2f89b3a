package consumer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
)

// atPage makes the registry hold the answer to that page of the catalog back,
// once, until release is called, and tells whether it was asked for.
func (w *world) atPage(page int) (asked func() bool, release func()) {
	w.t.Helper()
	free := make(chan struct{})
	where := registrytest.Where{Kind: registrytest.Catalog, Page: page, Times: 1}
	w.registry.Fail(where, registrytest.Hold(free))
	asked = func() bool { return w.catalogPages() > page && w.registry.InFlight() == 1 }
	released := false
	release = func() {
		if !released {
			released = true
			close(free)
		}
	}
	w.t.Cleanup(release)
	return asked, release
}

// walked is a world of 10 pages, of which the sweep is about to get the fifth.
func (w *world) walked(start func()) (release func()) {
	w.t.Helper()
	w.projects(4750)
	run := w.begin()
	w.set("max_concurrency", "1")
	asked, release := w.atPage(5)
	w.sweep(run)
	start()
	w.await("page 5 is asked for", asked)
	return release
}

func TestP11_ASweepOfAKilledConsumerGoesOnWhereItWas(t *testing.T) {
	w := newWorldOf(t, smallPages)
	w.timing = timing{} // the ones in use
	var kill func() error
	release := w.walked(func() { kill = w.child().Kill })
	w.consumer()
	w.await("the other consumer is alive", func() bool { return w.redis.ZCard(t.Context(), "regmend:processes").Val() == 2 })
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	killed, pages := time.Now(), w.now().Pages
	w.registry.Forget()
	release()
	w.within(20*time.Second, "the sweep goes on", func() bool { return w.now().Pages > pages })
	t.Logf("after %s", time.Since(killed))
	s := w.swept(postgres.SweepDone)
	w.checkApps(4750)
	if n := w.catalogPages(); pages != 4 || n != s.Pages-pages+1 {
		t.Errorf("%d pages were asked for after %d of %d", n, pages, s.Pages)
	}
}

func TestP13P14_ASweepStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]interruption{
		"the process stops": func(w *world, c *running) func() {
			began := time.Now()
			if err := c.end(); err != nil {
				w.t.Error(err)
			}
			if took := time.Since(began); took > 10*time.Second {
				w.t.Errorf("it took %s", took)
			}
			return func() { w.consumer() }
		},
		"the slot is lost": func(w *world, _ *running) func() {
			if err := w.redis.Del(w.t.Context(), "regmend:slots:held").Err(); err != nil {
				w.t.Error(err)
			}
			return func() {}
		},
		"the cap is cut": func(w *world, _ *running) func() {
			w.set("max_concurrency", "0")
			return func() { w.set("max_concurrency", "1") }
		},
		"the flag is off": func(w *world, _ *running) func() {
			w.set("scan_enabled", "false")
			return func() { w.set("scan_enabled", "true") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, smallPages)
			var c *running
			w.walked(func() { c = w.consumer() })
			resume := interrupt(w, c)
			if name != "the slot is lost" {
				w.within(2*time.Second, "nothing is asked any more", func() bool { return w.registry.InFlight() == 0 })
				before := w.registry.Count()
				w.during(time.Second, "nothing is asked", func() bool { return w.registry.Count() == before })
			}
			if s := w.now(); s.Pages != 4 {
				t.Errorf("%d pages are noted, want 4", s.Pages)
			}
			w.registry.Forget()
			resume()
			s := w.swept(postgres.SweepDone)
			if n := w.catalogPages(); n != s.Pages-4+1 {
				t.Errorf("%d pages were asked for after 4 of %d", n, s.Pages)
			}
			if n := w.registry.MaxInFlight(); n > 1 {
				t.Errorf("%d requests at once under one slot", n)
			}
			w.checkApps(4750)
		})
	}
}

func TestP10_ASweepWaitsForARegistryThatFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]registrytest.Fault{
		"down":           registrytest.Drop(),
		"503":            registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"),
		"429":            registrytest.TooMany("2.000000"),
		"401":            registrytest.Status(http.StatusUnauthorized, "UNAUTHORIZED"),
		"500 everywhere": registrytest.Status(http.StatusInternalServerError, "UNKNOWN"),
		"HTML":           registrytest.HTML(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, smallPages)
			release := w.walked(func() { w.consumer() })
			mend := w.registry.Fail(registrytest.Where{}, fault)
			release()
			w.await("the registry is why all hold", w.holds(board.HoldRegistry))
			w.during(2*time.Second, "it holds", w.holds(board.HoldRegistry))
			if s := w.now(); s.Ended() || s.Pages > 5 {
				t.Errorf("the sweep is %s at page %d", s.State, s.Pages)
			}
			mend()
			w.within(recovery, "the sweep goes on", func() bool { return w.now().Pages > 6 })
			w.swept(postgres.SweepDone)
			w.checkApps(4750)
			w.nothingFailed()
		})
	}
}

// The position of a walk is lost where the registry does not take it any more.
func TestSweep_AWalkWhosePositionIsLostBeginsAnew(t *testing.T) {
	w := newWorldOf(t, smallPages)
	release := w.walked(func() { w.consumer() })
	scan := w.now().Scan
	w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog, Page: 6, Times: 1}, registrytest.Status(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID"))
	release()
	s := w.swept(postgres.SweepDone)
	if s.Scan <= scan {
		t.Errorf("the walk has the scan number %d still", s.Scan)
	}
	w.checkApps(4750)
}

func TestSweep_ANewRunDiscardsIt(t *testing.T) {
	w := newWorldOf(t, smallPages)
	release := w.walked(func() { w.consumer() })
	old := w.now()
	run := w.begin()
	release()
	next := w.sweep(run)
	w.swept(postgres.SweepDone)
	if got := w.Value(t, `SELECT state FROM regmend.sweeps WHERE id = $1`, old.ID); got != string(postgres.SweepFailed) {
		t.Errorf("the old sweep is %s", got)
	}
	if got := w.Value(t, `SELECT count(*) FROM regmend.data_repair_details WHERE scan_number <> $1`, next.Scan); got != "0" {
		t.Errorf("%s results are not of the new sweep", got)
	}
	w.checkApps(4750)
}

func TestSweep_WhatChangesMeanwhile(t *testing.T) {
	w := newWorldOf(t, smallPages)
	release := w.walked(func() { w.consumer() })
	const lost = `SELECT id FROM public.projects WHERE path = $1`
	id := func(path string) string { return w.Value(t, lost, path) }
	// On pages that are read: a repository found by hand, one deleted, one pushed.
	w.Exec(t, `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at) VALUES ($1::bigint, 'lost', now(), now())`, id("app10x"))
	w.registry.Delete(app(100) + "/lost")
	w.registry.Push(app(1)+"/pushed", "v1")
	w.Exec(t, `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at) VALUES ($1::bigint, 'pushed', now(), now())`, id("app1x"))
	w.Exec(t, `UPDATE public.routes SET path = 'group/renamed' WHERE path = 'group/app2x'`)
	w.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE path = 'app3x'`)
	w.Exec(t, `DELETE FROM public.projects WHERE path = 'app4x'`)
	created := w.Project(t, "group/created")
	release()
	w.swept(postgres.SweepDone)
	w.looked()
	const status = `SELECT coalesce((SELECT status || ' ' || missing_count FROM regmend.data_repair_details WHERE project_id = p.id), 'pending')
		FROM public.projects p WHERE path = $1`
	for path, want := range map[string]string{
		"app10x": "completed 0", "app20x": "completed 1", "app100x": "completed 0", "app1x": "completed 0",
		"app2x": "pending", "app3x": "pending", "app5x": "completed 0",
	} {
		if got := w.Value(t, status, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if got := w.Value(t, `SELECT count(*) FROM regmend.data_repair_details WHERE project_id = $1`, created); got != "0" {
		t.Error("a project that was created during the walk has a result")
	}
}

// A repository whose tags cannot be read leaves its project to a scan.
func TestP9_OneBadCandidateIsLeftToAScan(t *testing.T) {
	w := newWorldOf(t, smallPages)
	const projects = 300
	w.projects(projects)
	w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: app(20) + "/lost"}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	w.sweep(w.begin())
	w.consumer()
	w.swept(postgres.SweepDone)
	w.looked()
	if got := w.counts(); got.Completed != projects-1 || got.Pending != 1 {
		t.Errorf("%+v, want one pending", got)
	}
	w.set("flush_after", "1s")
	w.producer()
	w.await("it is scanned", w.completed(projects))
	w.checkApps(projects)
}

// A sweep that kills its process at the same step every time is found out.
func TestP9_ADeadlySweepFails(t *testing.T) {
	w := newWorldOf(t, smallPages)
	w.projects(300)
	run := w.begin()
	s := w.sweep(run)
	// So three processes left it that died in mid-step after the first.
	if err := w.redis.HSet(t.Context(), "regmend:marks", -s.ID, 3).Err(); err != nil {
		t.Fatal(err)
	}
	payload := fmt.Sprintf(`{"run":%d,"sweep":%d}`, run.ID, s.ID)
	claim, err := json.Marshal(map[string]any{"process": "dead", "token": 1, "generation": 0, "runs": 4, "payload": []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.redis.HSet(t.Context(), "regmend:claims", fmt.Sprintf("run%d.sweep%d", run.ID, s.ID), claim).Err(); err != nil {
		t.Fatal(err)
	}
	w.consumer()
	if reason := w.swept(postgres.SweepFailed).Reason; !strings.Contains(reason, "3 processes died") {
		t.Errorf("the reason is %q", reason)
	}
}
