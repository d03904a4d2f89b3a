package dashboard_test

import (
	"net/http"
	"testing"
	"time"

	"regmend/dashboard"
	"regmend/shared/board"
	"regmend/shared/postgres"
)

func TestOverviewShowsTheRun(t *testing.T) {
	s := serve(t, dashboard.Config{Version: "1.2.3"})
	s.enabled(t)
	s.note(t)
	got := get(t, s.url+"/")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("overview = %d %s", got.status, got.header)
	}
	mustContain(t, got.body,
		"the first one",     // the run
		"65 of 90 eligible", // progress
		"in 12 projects",    // findings
		"190 of 200 known",  // the witness
		`href="/queues/queues/scan"`,
		"1.2.3",
	)
}

func TestOverviewSaysWhatKeepsProjectsFromBeingScanned(t *testing.T) {
	for name, c := range map[string]struct {
		given func(t *testing.T, s site)
		want  string
	}{
		"no run":                      {func(*testing.T, site) {}, "No run yet"},
		"switched off":                {func(*testing.T, site) {}, "regmend enable"},
		"cap 0":                       {func(t *testing.T, s site) { s.enabled(t); s.set(t, "max_concurrency", "0") }, "The cap is 0"},
		"outside of the active hours": {func(t *testing.T, s site) { s.enabled(t); s.set(t, "active_hours", hoursFromNow(2)) }, "It goes on in 1"},
		"the brake": {func(t *testing.T, s site) {
			s.enabled(t)
			s.set(t, "max_concurrency", "8")
			s.braked(t, 3)
		}, "the brake leaves 3 of 8, for 0\u00a0s: slow"},
		"the rate":    {func(t *testing.T, s site) { s.enabled(t); s.set(t, "requests_per_second", "1500") }, "over all consumers; at most 1,500 requests a second"},
		"a low rate":  {func(t *testing.T, s site) { s.enabled(t); s.set(t, "requests_per_second", "1") }, "at most 1 request a second"},
		"no consumer": {func(t *testing.T, s site) { s.enabled(t) }, "No consumer is running"},
		"holding":     {func(t *testing.T, s site) { s.enabled(t); s.note(t) }, "Holding: the registry"},
		"twice":       {func(t *testing.T, s site) { s.enabled(t); s.note(t) }, "it was restored"},
		"silent producer": {func(t *testing.T, s site) {
			s.enabled(t)
			if err := board.New(s.rdb).SetCounters(t.Context(), board.Counters{Run: 1, At: time.Now().Add(-time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}, "No producer seems to be running"},
		"redis away":    {func(t *testing.T, s site) { s.stopRedis(t) }, "Redis cannot be read"},
		"postgres away": {func(t *testing.T, s site) { s.closePostgres(t) }, "Postgres cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, dashboard.Config{})
			c.given(t, s)
			got := get(t, s.url+"/")
			if got.status != http.StatusOK {
				t.Errorf("status = %d", got.status)
			}
			mustContain(t, got.body, c.want)
		})
	}
}

func TestOverviewShowsTheSweep(t *testing.T) {
	for state, want := range map[string]string{
		"'walking', '', NULL":             "Sweep 1 walks: 57,000 repositories read on 57 pages of the catalog.",
		"'judging', '', NULL":             "Sweep 1 judges: 1,000 of 2,000 projects completed.",
		"'done', '', now()":               "12 of them nobody&#39;s; 1,000 projects completed by it.",
		"'failed', '<b>refused', now()":   "projects are scanned one by one: &lt;b&gt;refused.",
		"'preparing', 'lost again', NULL": "Sweep 1 prepares: 2,000 projects noted.",
	} {
		t.Run(state, func(t *testing.T) {
			s := serve(t, dashboard.Config{})
			s.enabled(t)
			s.db.Exec(t, `INSERT INTO regmend.sweeps (run_id, scan_number, started_by, pages, repositories, unowned, projects, proven, state, reason, ended_at)
				VALUES (1, 7, 'test', 57, 57000, 12, 2000, 1000, `+state+`)`)
			mustContain(t, get(t, s.url+"/").body, want)
			mustContain(t, get(t, s.url+"/metrics").body, "regmend_sweep_pages 57", "regmend_sweep_proven_projects 1000", "regmend_sweep_unowned_repositories 12")
		})
	}
}

// What was not read is not said to be absent.
func TestOverviewWithoutRedisDoesNotSayThatNothingWasCounted(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.stopRedis(t)
	page := get(t, s.url+"/").body
	mustContain(t, page, "the first one", "regmend status")
	mustNotContain(t, page, "not been counted yet", "has not looked yet")
}

// What the registry answered ends up in reasons: it must not become part of the page.
func TestOverviewEscapesWhatOthersWrote(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.note(t)
	page := get(t, s.url+"/").body
	mustContain(t, page, "503 &lt;b&gt;UNAVAILABLE")
	mustNotContain(t, page, "<b>UNAVAILABLE", "<script")
}

func TestAssetsAreServedAndNothingElse(t *testing.T) {
	s := serve(t, dashboard.Config{})
	for path, kind := range map[string]string{
		"/assets/overview.css": "text/css; charset=utf-8",
		"/assets/favicon.svg":  "image/svg+xml",
	} {
		if got := get(t, s.url+path); got.status != http.StatusOK || got.header.Get("Content-Type") != kind {
			t.Errorf("%s = %d %s, want %s", path, got.status, got.header.Get("Content-Type"), kind)
		}
	}
	for _, path := range []string{"/assets/", "/assets/overview.html", "/assets/..%2foverview.html", "/nowhere"} {
		if got := get(t, s.url+path); got.status != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, got.status)
		}
	}
}

// hoursFromNow are active hours that begin so many hours from now.
func hoursFromNow(n int) string {
	begin := time.Now().UTC().Add(time.Duration(n) * time.Hour)
	return begin.Format("15:04") + "-" + begin.Add(time.Hour).Format("15:04") + " UTC"
}

// braked lets the brake leave so many slots.
func (s site) braked(t *testing.T, slots int) {
	t.Helper()
	step := postgres.BrakeStep{Run: 1, By: "test", Was: 8, Slots: slots, Usual: postgres.Latency{Small: 20 * time.Millisecond}, Reason: "slow"}
	if _, err := s.db.DB.TakeStep(t.Context(), 0, step); err != nil {
		t.Fatal(err)
	}
}

func TestMetricsTellHowKindItIs(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.set(t, "max_concurrency", "8")
	s.set(t, "requests_per_second", "25")
	s.set(t, "active_hours", hoursFromNow(2))
	s.braked(t, 3)
	mustContain(t, get(t, s.url+"/metrics").body,
		"regmend_requests_per_second 25", "regmend_brake_slots 3", `regmend_brake_usual_latency_seconds{answers="small"} 0.02`, `regmend_brake_usual_latency_seconds{answers="large"} 0`, "regmend_active_now 0",
	)
}
